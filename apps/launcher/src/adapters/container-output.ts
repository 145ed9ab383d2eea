/** What a container printed, without the engine's frames around its pieces: 1 byte which stream, 3 zeros, 4 bytes length. */
import type Docker from 'dockerode';
import type { PodDriver } from '../pod/driver.js';
import { asEngineError, unlessMissing } from './engine-errors.js';

/** A log, or its beginning, as text. */
export const withoutFrames = (log: Buffer): string => {
  const pieces: Buffer[] = [];
  for (let at = 0; at + 8 <= log.length;) {
    const end = at + 8 + log.readUInt32BE(at + 4);
    pieces.push(log.subarray(at + 8, end));
    at = end;
  }
  return Buffer.concat(pieces).toString('utf8');
};

/** Frames make short lines twice as long; lines of a byte or two are nobody's report. */
const framesFactor = 4;

/**
 * `PodDriver.output` for a container engine: read as it comes, and no further than the limit allows. By hand, for three reasons:
 * - Podman 4.3 ends a log that is followed when its container is over, whether all of it was read or not;
 * - one that is not followed dockerode holds in memory, whatever its size;
 * - dockerode's demuxStream calls itself for every frame: a program that prints empty lines would overflow the stack.
 */
export const createOutput =
  (docker: Docker, host: string): PodDriver['output'] =>
  async (name, limitBytes) => {
    const log = await unlessMissing(openLog(docker, name), host);
    if (!log) return { text: '', complete: true };
    const pieces: Buffer[] = [];
    let left = limitBytes * framesFactor;
    try {
      for await (const piece of log) {
        pieces.push(piece as Buffer);
        left -= (piece as Buffer).length;
        if (left < 0) break;
      }
    } catch (error) {
      throw asEngineError(error, host, 'could not read what the pod printed');
    }
    const text = withoutFrames(Buffer.concat(pieces));
    const complete = left >= 0 && Buffer.byteLength(text) <= limitBytes;
    return { text: complete ? text : text.slice(0, limitBytes), complete };
  };

const openLog = (docker: Docker, name: string): Promise<NodeJS.ReadableStream> =>
  new Promise((resolve, reject) => {
    const request = {
      path: `/containers/${encodeURIComponent(name)}/logs?`,
      options: { stdout: true, stderr: false },
      method: 'GET',
      isStream: true,
      statusCodes: { 200: true, 404: 'no such container', 500: 'server error' },
    };
    docker.modem.dial(request, (error: unknown, log: unknown) =>
      error ? reject(error as Error) : resolve(log as NodeJS.ReadableStream),
    );
  });
