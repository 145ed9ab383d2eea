/**
 * Gathers the batches of all jobs into few transactions. A batch is answered when its transaction is committed. One
 * transaction runs at a time; what comes meanwhile forms the next.
 *
 * A group is cut when as many batches wait as the last one had, at 1 MiB, or after 20 ms, whichever comes first. So one
 * job alone never waits, and with many jobs a transaction carries many: a group that is cut by number has at least as
 * many as the one before, one that grew while a transaction ran has more, and only the 20 ms make it smaller again.
 *
 * A transaction that fails for a reason of its own data is taken apart: each of its batches is tried alone, so that one
 * that Postgres refuses takes no other job with it.
 */
import { isPlatformError, PlatformError } from '@gantry/contracts/errors';
import type { Batch } from '../domain/batch.js';
import type { AppendTransaction, Judged } from './append-transaction.js';

/** The queue before the record. */
export interface GroupCommit {
  /** Settles with the verdict once it is committed. Throws `unavailable` when Postgres is away, or when too much waits. */
  append(batch: Batch): Promise<Judged>;
  /** Throws why the last transaction failed, if that was Postgres's fault and not long ago. */
  ready(): void;
  /** Refuses what comes from now on, finishes what waits. */
  stop(): Promise<void>;
}

/** How groups are cut. */
export interface GroupSettings {
  windowMilliseconds?: number;
  /** Bytes that cut a group before its time. */
  groupBytes?: number;
  /** Bytes of a group at most: bounds how long others wait for it, and the memory its rows take. */
  mostGroupBytes?: number;
  /** Bytes that may wait in all. */
  queueBytes?: number;
}

/** A failure that nobody has tried again for so long says nothing about now. */
const FAILURE_MILLISECONDS = 30_000;

interface Waiting {
  batch: Batch;
  since: number;
  resolve(judged: Judged): void;
  reject(error: unknown): void;
}

/** A queue in front of a transaction. */
export const createGroupCommit = (commit: AppendTransaction, settings: GroupSettings = {}): GroupCommit => {
  const {
    windowMilliseconds = 20,
    groupBytes = 1024 * 1024,
    mostGroupBytes = 4 * 1024 * 1024,
    queueBytes = 128 * 1024 * 1024,
  } = settings;
  let waiting: Waiting[] = [];
  let bytes = 0;
  let lastGroup = 1;
  let timer: NodeJS.Timeout | null = null;
  let soon: NodeJS.Immediate | null = null;
  let running: Promise<void> | null = null;
  let stopped = false;
  let failure: { error: unknown; at: number } | null = null;
  const committing: AppendTransaction = async (batches) => {
    try {
      const judged = await commit(batches);
      failure = null;
      return judged;
    } catch (error) {
      if (isPlatformError(error) && error.code === 'unavailable') failure = { error, at: performance.now() };
      throw error;
    }
  };

  const schedule = (): void => {
    if (running || soon || waiting.length === 0) return;
    const due = bytes >= groupBytes || waiting.length >= lastGroup;
    const left = due ? 0 : windowMilliseconds - (performance.now() - waiting[0]!.since);
    // After what came in together was read: calls that arrive in one turn of the loop go into one group.
    if (left <= 0) soon = setImmediate(flush);
    else timer ??= setTimeout(flush, left);
  };
  const flush = (): void => {
    clearTimeout(timer ?? undefined);
    clearImmediate(soon ?? undefined);
    [timer, soon] = [null, null];
    const group = takeGroup();
    lastGroup = group.length;
    running = settle(committing, group).finally(() => {
      running = null;
      schedule();
    });
  };
  // A job's second batch waits for its first one's verdict.
  const takeGroup = (): Waiting[] => {
    let taken = 0;
    const jobs = new Set<string>();
    const group: Waiting[] = [];
    const rest: Waiting[] = [];
    for (const one of waiting) {
      const take = !jobs.has(one.batch.jobId) && taken < mostGroupBytes;
      jobs.add(one.batch.jobId);
      if (take) taken += one.batch.payload.length;
      (take ? group : rest).push(one);
    }
    waiting = rest;
    bytes = rest.reduce((sum, one) => sum + one.batch.payload.length, 0);
    return group;
  };

  return {
    append: (batch) =>
      new Promise((resolve, reject) => {
        if (stopped || bytes > queueBytes) {
          const why = stopped
            ? 'This ingest is shutting down'
            : 'More waits for the database than ingest may hold';
          return reject(new PlatformError('unavailable', `${why}: send the batch again.`));
        }
        waiting.push({ batch, since: performance.now(), resolve, reject });
        bytes += batch.payload.length;
        schedule();
      }),
    ready: () => {
      if (failure && performance.now() - failure.at < FAILURE_MILLISECONDS) throw failure.error;
    },
    stop: async () => {
      stopped = true;
      while (running || waiting.length > 0) {
        if (!running) flush();
        await running;
      }
    },
  };
};

const settle = async (commit: AppendTransaction, group: readonly Waiting[]): Promise<void> => {
  try {
    const judged = await commit(group.map((one) => one.batch));
    group.forEach((one, index) => one.resolve(judged[index]!));
  } catch (error) {
    if (group.length === 1 || (isPlatformError(error) && error.code === 'unavailable'))
      group.forEach((one) => one.reject(error));
    else for (const one of group) await settle(commit, [one]);
  }
};
