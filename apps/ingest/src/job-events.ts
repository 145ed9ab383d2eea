/**
 * What pods print, for other systems: committed batches are published on JetStream, from Postgres and never from memory, by
 * one replica at a time (docs/adr/0017).
 *
 * waiting (another replica leads) -> beginning (is the stream the one we know?) -> publishing -> waiting, when the lock's
 * connection or NATS breaks.
 * publishing: hints of all replicas say which jobs have more. A hint may be lost, so a sweep looks at all jobs that are
 * behind: at the beginning and each half minute. The cursors are saved after JetStream has acknowledged: what is published
 * again after a crash has the same message id, and consumers know the counters they have.
 */
import { onReconnect } from '@gantry/bus/connect';
import { jobEventStream, publishJobEvents } from '@gantry/bus/job-events';
import { subscribeLive } from '@gantry/bus/live';
import { JOB_EVENTS_KEPT_MILLISECONDS } from '@gantry/bus/streams';
import { asPlatformError } from '@gantry/contracts/errors';
import { fromPostgres } from '@gantry/eventlog/sql';
import { streamNames } from '@gantry/contracts/subjects';
import { whileLeading } from '@gantry/service/leader';
import type { Follower, Logger, NatsConnection } from '@gantry/service/kit';
import { pause } from '@gantry/service/pause';
import { joinSignals } from '@gantry/service/signals';
import type pg from 'pg';
import {
  createJobEventCursors,
  type JobEventCursor,
  type JobEventCursors,
} from './adapters/job-event-cursors.js';

/** What the publisher works with. */
export interface JobEventSettings {
  pool: pg.Pool;
  schema: string;
  nats: NatsConnection;
  logger: Logger;
}

/** Gathers what many commits bring: fewer, larger reads. */
const ROUND_MILLISECONDS = 250;
const SWEEP_MILLISECONDS = 30_000;
const RETRY_MILLISECONDS = 500;
/** Jobs and batches of each in one read: about 6 MB. */
const ROUND_JOBS = 8;
const ROUND_BATCHES = 32;
const SWEEP_JOBS = 500;

/** Publishes until `signal` fires; rides out Postgres and NATS being away; never rejects. */
export const runJobEvents = async (settings: JobEventSettings, signal: AbortSignal): Promise<void> => {
  const { pool, schema, nats, logger } = settings;
  let connected = new AbortController();
  // Whether the stream is still the same can only be asked anew.
  onReconnect(nats, () => {
    connected.abort();
    connected = new AbortController();
  });
  while (!signal.aborted) {
    try {
      await whileLeading(pool, `gantry-job-events:${schema}`, signal, async (lost) => {
        const over = joinSignals([signal, lost, connected.signal]);
        await publishAll(settings, over.signal).finally(over.release);
      });
    } catch (error) {
      if (!signal.aborted)
        logger.warn({ err: asPlatformError(fromPostgres(error)) }, 'job events interrupted, trying again');
    }
    await pause(RETRY_MILLISECONDS, signal);
  }
};

/** How far the publishing is, for the alarm: of up to 500 jobs that have more than is published, what they had. */
export const jobEventsFollower = (pool: pg.Pool, schema: string): Follower<ReadonlyMap<string, number>> => {
  const cursors = createJobEventCursors(pool, schema);
  return {
    mark: async () =>
      new Map((await cursors.behind(SWEEP_JOBS)).map(({ jobId, lastCounter }) => [jobId, lastCounter])),
    missing: async (mark) => {
      if (mark.size === 0) return null;
      const late = (await cursors.behind(mark.size, [...mark.keys()])).filter(
        ({ jobId, published }) => published < mark.get(jobId)!,
      );
      if (late.length === 0) return null;
      const { jobId, published } = late[0]!;
      return `Of ${late.length} jobs (one: ${jobId}, after event ${published}) what was printed is not on the NATS stream ${streamNames.jobEvents}`;
    },
  };
};

const publishAll = async (settings: JobEventSettings, signal: AbortSignal): Promise<void> => {
  const { pool, schema, nats } = settings;
  const cursors = createJobEventCursors(pool, schema);
  /** Jobs that have more, or may have. */
  const behind = new Set<string>();
  const end = subscribeLive(nats, '*', ({ jobId }) => void behind.add(jobId));
  try {
    await nats.flush();
    for (let sweepAt = 0; !signal.aborted;) {
      if (performance.now() >= sweepAt) {
        await sweep(settings, cursors, signal);
        sweepAt = performance.now() + SWEEP_MILLISECONDS;
      }
      // Before it is read: what is committed from now on comes with another hint.
      const jobs = [...behind];
      behind.clear();
      for (let index = 0; index < jobs.length && !signal.aborted; index += ROUND_JOBS) {
        const round = jobs.slice(index, index + ROUND_JOBS);
        const moved = await publishRound(settings, cursors, await cursors.behind(ROUND_JOBS, round));
        for (const { jobId, more } of moved) if (more) behind.add(jobId);
      }
      // Also while hints come without pause: a few large rounds are cheaper than many small ones.
      await pause(ROUND_MILLISECONDS, signal);
    }
  } finally {
    end();
  }
};

/** Everything that is behind, whatever hints said; on a stream that is new, or was emptied, everything it would hold. */
const sweep = async (
  settings: JobEventSettings,
  cursors: JobEventCursors,
  signal: AbortSignal,
): Promise<void> => {
  await cursors.begin(await jobEventStream(settings.nats), JOB_EVENTS_KEPT_MILLISECONDS);
  const began = await cursors.now();
  for (;;) {
    const behind = await cursors.behind(SWEEP_JOBS);
    if (behind.length === 0) return cursors.sweptTo(began);
    let moved = 0;
    for (let index = 0; index < behind.length; index += ROUND_JOBS) {
      if (signal.aborted) return;
      const round = await publishRound(settings, cursors, behind.slice(index, index + ROUND_JOBS));
      moved += round.length;
    }
    // Chunks that are missing: not for us to say, and no reason to turn in circles.
    if (moved === 0) return;
  }
};

/** Publishes the next batches of some jobs. Returns those that moved, and which of them may have more. */
const publishRound = async (
  { nats, logger }: JobEventSettings,
  cursors: JobEventCursors,
  jobs: readonly JobEventCursor[],
): Promise<{ jobId: string; more: boolean }[]> => {
  const batches = jobs.length === 0 ? [] : await cursors.next(jobs, ROUND_BATCHES);
  if (batches.length === 0) return [];
  const sequences = await Promise.all(batches.map((batch) => publishJobEvents(nats, batch)));
  const reached = new Map<string, { published: number; batches: number }>();
  for (const { jobId, lastCounter } of batches) {
    const before = reached.get(jobId) ?? { published: 0, batches: 0 };
    reached.set(jobId, {
      published: Math.max(before.published, lastCounter),
      batches: before.batches + 1,
    });
  }
  await cursors.save(
    [...reached].map(([jobId, { published }]) => ({ jobId, published })),
    Math.max(...sequences),
  );
  logger.debug({ jobs: reached.size, batches: batches.length }, 'job events published');
  return [...reached].map(([jobId, of]) => ({ jobId, more: of.batches === ROUND_BATCHES }));
};
