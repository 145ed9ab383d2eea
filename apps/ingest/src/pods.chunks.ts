/** The call `chunks`: a batch is checked, committed with others, and answered by its verdict (docs/PROTOCOL.md 1.3, 1.4). */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip, gunzipSync } from 'node:zlib';
import { PlatformError } from '@gantry/contracts/errors';
import type { Judged } from './adapters/append-transaction.js';
import type { Chunks } from './adapters/chunks.js';
import { noRecord, type JobRecord } from './adapters/records.js';
import { extract, type Batch } from './domain/batch.js';
import { cutLines, readBatch } from './domain/ndjson.js';
import type { Pod } from './pods.access.js';
import { ChunkHeaders, read } from './pods.bodies.js';
import { podMeta, type PodAnswer, type PodDependencies } from './pods.port.js';
import { staleEpoch } from './record.commands.js';

/** A batch may be as large as one event that the agent could not split; decompressed at most this. */
const MOST_RAW_BYTES = 64 * 1024 * 1024;

/** Carries out the call `chunks` of a pod that has shown its token. */
export type ChunkCall = (pod: Pod, headers: Record<string, unknown>, body: Buffer) => Promise<PodAnswer>;

/** Over the dependencies of the pods' calls. */
export const createChunkCall = (deps: PodDependencies): ChunkCall => {
  const { chunks, commands, live, watched } = deps;

  async function answerChunk(pod: Pod, { verdict, record, batch }: Judged): Promise<PodAnswer> {
    if (!record) throw noRecord(pod.jobId);
    const told = {
      cancel: record.cancelRequested,
      flushMilliseconds: watched.flushMilliseconds(pod.jobId),
    };
    switch (verdict.kind) {
      case 'append':
        live.committed({ jobId: pod.jobId, committedCounter: batch.lastCounter, sealed: false });
        return { committed: batch.lastCounter, ...told };
      case 'committed':
        return { committed: record.lastCounter, ...told };
      case 'stale_epoch':
        throw staleEpoch(record, pod.epoch);
      case 'closed':
        throw new PlatformError(
          'forbidden',
          `The record of job ${pod.jobId} is sealed: nothing can be added.`,
          { details: { reason: 'closed' } },
        );
      case 'gap':
        throw outOfStep(record);
      case 'integrity':
        return alarm(pod, record, batch, verdict.committedHash);
      case 'compare': {
        // Decompressed again: hundreds of batches wait for their commit at once, and this hardly ever happens.
        const raw = await decompress(batch.payload, batch.rawLength);
        const other = await firstDifference(chunks, record, raw, batch.firstCounter);
        if (other) return alarm(pod, record, batch, other);
        if (batch.lastCounter <= record.lastCounter) return { committed: record.lastCounter, ...told };
        throw outOfStep(record);
      }
    }
  }

  async function alarm(pod: Pod, record: JobRecord, batch: Batch, committedHash: string): Promise<never> {
    await commands.alarm(pod.jobId, pod.epoch, batch.firstCounter, committedHash, batch.hash, podMeta(pod));
    throw new PlatformError(
      'conflict',
      `Other bytes came for event ${batch.firstCounter}, which is committed already: nothing was overwritten.`,
      {
        details: { reason: 'integrity', expected: record.lastCounter + 1, head: record.head },
      },
    );
  }

  return async (pod, headers, body) => {
    const batch = await readChunk(pod, headers, body);
    return answerChunk(pod, await deps.group.append(batch));
  };
};

/** Decompresses and checks a batch: its length, its place in the chain, its counters. */
const readChunk = async (pod: Pod, headers: Record<string, unknown>, body: Buffer): Promise<Batch> => {
  const said = read(ChunkHeaders, headers, 'headers');
  const rawLength = said['gantry-raw-bytes'];
  if (rawLength > MOST_RAW_BYTES)
    throw new PlatformError(
      'refused',
      `The batch has ${rawLength} bytes, ingest takes at most ${MOST_RAW_BYTES}.`,
    );
  const raw = await decompress(body, rawLength);
  if (raw.length !== rawLength)
    throw new PlatformError('invalid', `The batch has ${raw.length} bytes, its header says ${rawLength}.`);
  if (raw[raw.length - 1] !== 0x0a)
    throw new PlatformError('invalid', 'The batch does not end with a newline: events must be whole.');
  const [previousHash, hash] = [said['gantry-previous-hash'], said['gantry-hash']];
  const computed = createHash('sha256').update(Buffer.from(previousHash, 'hex')).update(raw).digest('hex');
  if (computed !== hash)
    throw new PlatformError('invalid', 'Gantry-Hash is not the hash of the previous head and this batch.');
  const [firstCounter, lastCounter] = [said['gantry-first-counter'], said['gantry-last-counter']];
  return {
    ...pod,
    firstCounter,
    lastCounter,
    previousHash,
    hash,
    rawLength,
    payload: body,
    firstLine: said['gantry-first-line'],
    lastLine: said['gantry-last-line'],
    // What was parsed is not kept: a batch waits for its commit as bytes.
    ...extract(readBatch(raw, firstCounter, lastCounter)),
  };
};

const unzip = promisify(gunzip);
/** Up to here a thread costs more than it saves. */
const SMALL_BYTES = 512 * 1024;

const decompress = async (body: Buffer, rawLength: number): Promise<Buffer> => {
  // One piece of output: zlib's own 16 KiB pieces would be copied together.
  const options = { maxOutputLength: rawLength, chunkSize: Math.max(64, rawLength + 1) };
  try {
    return rawLength <= SMALL_BYTES ? gunzipSync(body, options) : await unzip(body, options);
  } catch (error) {
    const tooLong = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
    const why = tooLong ? `is longer than the ${rawLength} bytes it says` : 'is not gzip';
    throw new PlatformError('invalid', `The batch ${why}.`);
  }
};

/** The SHA-256 of the first committed event that reads otherwise in a batch that was cut anew; null if all are the same. */
const firstDifference = async (
  chunks: Chunks,
  record: JobRecord,
  raw: Buffer,
  firstCounter: number,
): Promise<string | null> => {
  const lines = cutLines(raw, firstCounter);
  const given = new Map(lines.map((line) => [line.counter, raw.subarray(line.start, line.end)]));
  const last = Math.min(lines.at(-1)!.counter, record.lastCounter);
  for (let counter = lines[0]!.counter; counter <= last;) {
    const [span] = await chunks.spansFrom(record, counter, 1);
    if (!span || span.lastCounter < counter) return null;
    const chunk = await chunks.open(record, span);
    for (const line of chunk.lines) {
      const committed = chunk.raw.subarray(line.start, line.end);
      const received = given.get(line.counter);
      if (received && !received.equals(committed))
        return createHash('sha256').update(committed).digest('hex');
    }
    counter = span.lastCounter + 1;
  }
  return null;
};

const outOfStep = (record: JobRecord): PlatformError =>
  new PlatformError(
    'conflict',
    `Ingest expects event ${record.lastCounter + 1} of job ${record.jobId} next.`,
    {
      details: { reason: 'out_of_step', expected: record.lastCounter + 1, head: record.head },
    },
  );
