/** The pods' calls, without HTTP: start, objects, chunks, heartbeat, finish (docs/PROTOCOL.md 1.2 to 1.4). */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { Meta } from '@gantry/contracts/envelope';
import { PlatformError } from '@gantry/contracts/errors';
import type { LiveHint } from '@gantry/contracts/record';
import type pg from 'pg';
import { v7 as newId } from 'uuid';
import type { Judged } from './adapters/append-transaction.js';
import type { Chunks } from './adapters/chunks.js';
import type { GroupCommit } from './adapters/group-commit.js';
import { noRecord, type JobRecord, type Records } from './adapters/records.js';
import { extract, type Batch } from './domain/batch.js';
import { readBatch, type Line } from './domain/ndjson.js';
import type { Pod } from './pods.access.js';
import { ChunkHeaders, FinishRequest, parseJson, read, StartRequest } from './pods.bodies.js';
import { staleEpoch, type RecordCommands } from './record.commands.js';

/** What an agent is told of its limits: docs/PROTOCOL.md 1.2. */
export const agentLimits = {
  chunkEvents: 200, chunkBytes: 262_144, flushMilliseconds: 50, spoolBytes: 67_108_864, heartbeatSeconds: 2, graceSeconds: 10, answerSeconds: 3_600,
} as const;

/** A batch may be as large as one event that the agent could not split; decompressed at most this. */
export const MOST_RAW_BYTES = 64 * 1024 * 1024;

/** The vault's answer to a pod. */
export type Redeem = (input: { jobId: string; epoch: number; publicKey: Record<string, unknown>; proof: string }, correlationId: string) => Promise<{ jwe: string | null }>;

/** What the calls stand on. */
export interface PodDependencies {
  pool: pg.Pool;
  records: Records;
  commands: RecordCommands;
  chunks: Chunks;
  group: GroupCommit;
  objects: { get(sha256: string): Promise<Readable | null> };
  live: { committed(hint: LiveHint): void };
  redeem: Redeem;
}

/** Answers to a pod. */
export interface PodAnswer {
  committed: number;
  cancel: boolean;
}

/** The calls of a pod that has shown its token. All throw PlatformErrors; `conflict` carries `expected` and `head`. */
export interface Pods {
  start(pod: Pod, body: Buffer): Promise<object>;
  object(pod: Pod, sha256: string): Promise<{ bytes: Readable; sizeBytes: number }>;
  chunk(pod: Pod, headers: Record<string, unknown>, body: Buffer): Promise<PodAnswer>;
  heartbeat(pod: Pod): Promise<PodAnswer>;
  finish(pod: Pod, body: Buffer): Promise<{ sealed: true }>;
}

const unzip = promisify(gunzip);

/** The calls over their dependencies. */
export const createPods = (deps: PodDependencies): Pods => {
  const { pool, records, commands, live } = deps;
  const find = async (pod: Pod): Promise<JobRecord> => {
    const record = await records.find(pool, pod.jobId);
    if (!record) throw noRecord(pod.jobId);
    if (record.closed || record.epoch !== pod.epoch) throw staleEpoch(record, pod.epoch);
    return record;
  };
  const payloadOf = async (pod: Pod) => {
    const payload = await records.payload(pool, pod.jobId);
    if (!payload) throw noRecord(pod.jobId);
    return payload;
  };
  return {
    start: async (pod, body) => {
      const request = read(StartRequest, parseJson(body), 'start request');
      const payload = await payloadOf(pod);
      const meta = podMeta(pod);
      const { publicKey, proof } = request;
      // First the vault: whoever cannot prove who they are has not started.
      const { jwe } = await deps.redeem({ ...pod, publicKey, proof }, meta.correlationId);
      const record = await commands.agentStarted(pod.jobId, pod.epoch, request.agent, meta);
      return { expected: record.lastCounter + 1, head: record.head, line: record.lastLine, payload, credentials: jwe, limits: agentLimits };
    },
    object: async (pod, sha256) => {
      const { project, inventory } = await payloadOf(pod);
      const object = [project, inventory].find((one) => one.sha256 === sha256);
      if (!object) throw new PlatformError('not_found', 'The payload of this job names no such object.');
      const bytes = await deps.objects.get(sha256);
      if (!bytes) throw new PlatformError('not_found', `The object ${sha256} is not in the store any more: launch the job again.`);
      return { bytes, sizeBytes: object.sizeBytes };
    },
    chunk: async (pod, headers, body) => {
      const { batch, raw, lines } = await readChunk(pod, headers, body);
      const judged = await deps.group.append(batch);
      return answerChunk(deps, pod, judged, raw, lines);
    },
    heartbeat: async (pod) => {
      const record = await find(pod);
      return { committed: record.lastCounter, cancel: record.cancelRequested };
    },
    finish: async (pod, body) => {
      await commands.finish(pod.jobId, pod.epoch, read(FinishRequest, parseJson(body), 'finish request'), podMeta(pod));
      return { sealed: true };
    },
  };

  async function answerChunk({ chunks }: PodDependencies, pod: Pod, { verdict, record, batch }: Judged, raw: Buffer, lines: Line[]): Promise<PodAnswer> {
    if (!record) throw noRecord(pod.jobId);
    const cancel = record.cancelRequested;
    switch (verdict.kind) {
      case 'append':
        live.committed({ jobId: pod.jobId, committedCounter: batch.lastCounter, sealed: false });
        return { committed: batch.lastCounter, cancel };
      case 'committed':
        return { committed: record.lastCounter, cancel };
      case 'stale_epoch':
        throw staleEpoch(record, pod.epoch);
      case 'closed':
        throw new PlatformError('forbidden', `The record of job ${pod.jobId} is sealed: nothing can be added.`, { details: { reason: 'closed' } });
      case 'gap':
        throw outOfStep(record);
      case 'integrity':
        return alarm(pod, record, batch, verdict.committedHash);
      case 'compare': {
        const other = await firstDifference(chunks, record, raw, lines);
        if (other) return alarm(pod, record, batch, other);
        if (batch.lastCounter <= record.lastCounter) return { committed: record.lastCounter, cancel };
        throw outOfStep(record);
      }
    }
  }

  async function alarm(pod: Pod, record: JobRecord, batch: Batch, committedHash: string): Promise<never> {
    await commands.alarm(pod.jobId, pod.epoch, batch.firstCounter, committedHash, batch.hash, podMeta(pod));
    throw new PlatformError('conflict', `Other bytes came for event ${batch.firstCounter}, which is committed already: nothing was overwritten.`, {
      details: { reason: 'integrity', expected: record.lastCounter + 1, head: record.head },
    });
  }
};

/** Decompresses and checks a batch: its length, its place in the chain, its counters. */
const readChunk = async (pod: Pod, headers: Record<string, unknown>, body: Buffer): Promise<{ batch: Batch; raw: Buffer; lines: Line[] }> => {
  const said = read(ChunkHeaders, headers, 'headers');
  const rawLength = said['gantry-raw-bytes'];
  if (rawLength > MOST_RAW_BYTES) throw new PlatformError('refused', `The batch has ${rawLength} bytes, ingest takes at most ${MOST_RAW_BYTES}.`);
  const raw = await unzip(body, { maxOutputLength: rawLength }).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === 'ERR_BUFFER_TOO_LARGE' ? `is longer than the ${rawLength} bytes it says` : 'is not gzip';
    throw new PlatformError('invalid', `The batch ${why}.`);
  });
  if (raw.length !== rawLength) throw new PlatformError('invalid', `The batch has ${raw.length} bytes, its header says ${rawLength}.`);
  if (raw[raw.length - 1] !== 0x0a) throw new PlatformError('invalid', 'The batch does not end with a newline: events must be whole.');
  const [previousHash, hash] = [said['gantry-previous-hash'], said['gantry-hash']];
  const computed = createHash('sha256').update(Buffer.from(previousHash, 'hex')).update(raw).digest('hex');
  if (computed !== hash) throw new PlatformError('invalid', 'Gantry-Hash is not the hash of the previous head and this batch.');
  const [firstCounter, lastCounter] = [said['gantry-first-counter'], said['gantry-last-counter']];
  const lines = readBatch(raw, firstCounter, lastCounter);
  const batch: Batch = {
    ...pod, firstCounter, lastCounter, previousHash, hash, rawLength, payload: body,
    firstLine: said['gantry-first-line'], lastLine: said['gantry-last-line'], ...extract(lines),
  };
  return { batch, raw, lines };
};

/** The SHA-256 of the first committed event that reads otherwise in a batch that was cut anew; null if all are the same. */
const firstDifference = async (chunks: Chunks, record: JobRecord, raw: Buffer, lines: readonly Line[]): Promise<string | null> => {
  const given = new Map(lines.map((line) => [line.counter, raw.subarray(line.start, line.end)]));
  const last = Math.min(lines.at(-1)!.counter, record.lastCounter);
  for (let counter = lines[0]!.counter; counter <= last; ) {
    const [span] = await chunks.spansFrom(record, counter, 1);
    if (!span || span.lastCounter < counter) return null;
    const chunk = await chunks.open(record, span);
    for (const line of chunk.lines) {
      const committed = chunk.raw.subarray(line.start, line.end);
      const received = given.get(line.counter);
      if (received && !received.equals(committed)) return createHash('sha256').update(committed).digest('hex');
    }
    counter = span.lastCounter + 1;
  }
  return null;
};

const outOfStep = (record: JobRecord): PlatformError =>
  new PlatformError('conflict', `Ingest expects event ${record.lastCounter + 1} of job ${record.jobId} next.`, {
    details: { reason: 'out_of_step', expected: record.lastCounter + 1, head: record.head },
  });

/** A pod acts for its job: everything that follows has the job's id as correlation. */
const podMeta = (pod: Pod): Meta => ({ actor: { kind: 'pod', id: `${pod.jobId}.${pod.epoch}`, name: 'agent' }, correlationId: pod.jobId, causationId: newId() });
