/** What the pods' calls share: their dependencies, their answer, and who the actor is. */
import type { Readable } from 'node:stream';
import type { Meta } from '@gantry/contracts/envelope';
import type { LiveHint } from '@gantry/contracts/record';
import type pg from 'pg';
import { v7 as newId } from 'uuid';
import type { Chunks } from './adapters/chunks.js';
import type { GroupCommit } from './adapters/group-commit.js';
import type { Records } from './adapters/records.js';
import type { Pod } from './pods.access.js';
import type { RecordCommands } from './record.commands.js';
import type { Watched } from './watched.js';

/** The vault's answer to a pod. */
export type Redeem = (
  input: { jobId: string; epoch: number; publicKey: Record<string, unknown>; proof: string },
  correlationId: string,
) => Promise<{ jwe: string | null }>;

/** What the calls stand on. */
export interface PodDependencies {
  pool: pg.Pool;
  records: Records;
  commands: RecordCommands;
  chunks: Chunks;
  group: GroupCommit;
  objects: { get(sha256: string): Promise<Readable | null> };
  live: { committed(hint: LiveHint): void };
  watched: Watched;
  redeem: Redeem;
}

/** Answers to a pod. */
export interface PodAnswer {
  committed: number;
  cancel: boolean;
  /** From here on, in place of limits.flushMilliseconds. */
  flushMilliseconds: number;
}

/** A pod acts for its job: everything that follows has the job's id as correlation. */
export const podMeta = (pod: Pod): Meta => ({
  actor: { kind: 'pod', id: `${pod.jobId}.${pod.epoch}`, name: 'agent' },
  correlationId: pod.jobId,
  causationId: newId(),
});
