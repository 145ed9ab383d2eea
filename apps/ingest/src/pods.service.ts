/** The pods' calls, without HTTP: start, objects, chunks, heartbeat, finish (docs/PROTOCOL.md 1.2 to 1.4). */
import type { Readable } from 'node:stream';
import { PlatformError } from '@gantry/contracts/errors';
import { noRecord, type JobRecord } from './adapters/records.js';
import type { Pod } from './pods.access.js';
import { FinishRequest, parseJson, read, StartRequest } from './pods.bodies.js';
import { createChunkCall } from './pods.chunks.js';
import { podMeta, type PodAnswer, type PodDependencies } from './pods.port.js';
import { staleEpoch } from './record.commands.js';

/** What an agent is told of its limits: docs/PROTOCOL.md 1.2. */
export const agentLimits = {
  chunkEvents: 1_000,
  chunkBytes: 1_048_576,
  flushMilliseconds: 80,
  spoolBytes: 67_108_864,
  heartbeatSeconds: 2,
  graceSeconds: 10,
  answerSeconds: 3_600,
} as const;

/** The calls of a pod that has shown its token. All throw PlatformErrors; `conflict` carries `expected` and `head`. */
export interface Pods {
  start(pod: Pod, body: Buffer): Promise<object>;
  object(pod: Pod, sha256: string): Promise<{ bytes: Readable; sizeBytes: number }>;
  chunk(pod: Pod, headers: Record<string, unknown>, body: Buffer): Promise<PodAnswer>;
  heartbeat(pod: Pod): Promise<PodAnswer>;
  finish(pod: Pod, body: Buffer): Promise<{ sealed: true }>;
}

/** The calls over their dependencies. */
export const createPods = (deps: PodDependencies): Pods => {
  const { pool, records, commands } = deps;
  const takeChunk = createChunkCall(deps);
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
      return {
        expected: record.lastCounter + 1,
        head: record.head,
        line: record.lastLine,
        payload,
        credentials: jwe,
        limits: agentLimits,
      };
    },
    object: async (pod, sha256) => {
      const { project, inventory } = await payloadOf(pod);
      const object = [project, inventory].find((one) => one.sha256 === sha256);
      if (!object) throw new PlatformError('not_found', 'The payload of this job names no such object.');
      const bytes = await deps.objects.get(sha256);
      if (!bytes)
        throw new PlatformError(
          'not_found',
          `The object ${sha256} is not in the store any more: launch the job again.`,
        );
      return { bytes, sizeBytes: object.sizeBytes };
    },
    chunk: takeChunk,
    heartbeat: async (pod) => {
      const record = await find(pod);
      return {
        committed: record.lastCounter,
        cancel: record.cancelRequested,
        flushMilliseconds: deps.watched.flushMilliseconds(pod.jobId),
      };
    },
    finish: async (pod, body) => {
      await commands.finish(
        pod.jobId,
        pod.epoch,
        read(FinishRequest, parseJson(body), 'finish request'),
        podMeta(pod),
      );
      return { sealed: true };
    },
  };
};
