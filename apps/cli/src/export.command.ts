/** `gantry export <job>`: the archive of a job that is over, checked as soon as it is here. */
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { PlatformError, fromWire, type ErrorOnWire } from '@gantry/contracts/errors';
import { findEndpoint, type Endpoint } from './client.js';
import { exitCodes, paint, print, printJson } from './terminal.js';
import { jobOrFile, printVerdict, verifyFile } from './verify.command.js';

/** Writes the archive beside its name and moves it there when it is whole. Throws what the API refuses with; `unavailable` when it breaks off. */
export const downloadArchive = async (endpoint: Endpoint, id: string, file: string): Promise<number> => {
  const address = `${endpoint.url.replace(/\/graphql$/, '')}/api/jobs/${id}/export`;
  const response = await fetch(address, { headers: { authorization: `Bearer ${endpoint.token}` } }).catch(
    (error: unknown) => {
      throw new PlatformError(
        'unavailable',
        `${address} does not answer: is Gantry running? (./gantry status)`,
        { cause: error },
      );
    },
  );
  if (!response.ok || !response.body) throw fromWire((await response.json()) as ErrorOnWire);
  const partial = `${file}.partial`;
  let bytes = 0;
  const counting = new Transform({
    transform(piece: Buffer, _encoding, done) {
      bytes += piece.length;
      if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K  … ${(bytes / 1e6).toFixed(1)} MB`);
      done(null, piece);
    },
  });
  try {
    await pipeline(Readable.fromWeb(response.body as ReadableStream), counting, createWriteStream(partial));
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    const { code } = error as NodeJS.ErrnoException;
    if (code && /^E[A-Z]+$/.test(code) && code !== 'ECONNRESET')
      throw new PlatformError('invalid', `${file} cannot be written: ${(error as Error).message}`);
    throw new PlatformError('unavailable', 'The archive broke off half-way: try again.', { cause: error });
  } finally {
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
  }
  return bytes;
};

/** The command. */
export const exportCommand = async (
  id: string,
  options: { output?: string; json?: boolean },
): Promise<number> => {
  if (jobOrFile(id) === 'file') throw new PlatformError('invalid', `${id} is a file: give the id of a job.`);
  const file = options.output ?? `gantry-job-${id.toLowerCase()}.tar`;
  const bytes = await downloadArchive(findEndpoint(), id.toLowerCase(), file);
  const verdict = await verifyFile(file);
  if (options.json) printJson({ ...verdict, bytes });
  else {
    print(`${paint.bold(file)}  ${(bytes / 1e6).toFixed(2)} MB`);
    printVerdict(verdict);
  }
  return verdict.intact ? exitCodes.ok : exitCodes.failed;
};
