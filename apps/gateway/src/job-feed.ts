/**
 * The sources of the subscriptions: async generators that read the next page only when the last one has left, so a slow
 * watcher holds nothing but its own position and reads on from Postgres at its own pace.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asPlatformError, isPlatformError, PlatformError } from '@gantry/contracts/errors';
import { GetJob, isFinal, type Job } from '@gantry/contracts/job';
import { ListJobEvents, type JobEventFilter } from '@gantry/contracts/record';
import type { GraphqlContext } from './context.js';
import type { EventPage, OutputBatch, TailRead, TailWatch } from './job-tails.js';

/** Longest wait for news that may have been lost. */
const POLL_MILLISECONDS = 2_000;
const PAGE_EVENTS = 500;
/** A service that is away for less is waited for: it is being started again. */
const RIDE_OUT_MILLISECONDS = 30_000;
const RETRY_MILLISECONDS = 500;

/** What somebody wants to watch. */
export interface OutputRequest {
  jobId: string;
  /** The last counter that the watcher has. */
  after: number;
  filter?: JobEventFilter | null;
}

/** A generator that can be ended from outside while it waits: `make` gets the signal that says so. */
export const endable = <T>(
  make: (signal: AbortSignal) => AsyncGenerator<T>,
): AsyncIterableIterator<T, void> => {
  const controller = new AbortController();
  const inner = make(controller.signal);
  return {
    next: () => inner.next(),
    return: async () => {
      controller.abort();
      await inner.return(undefined);
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
};

/**
 * Everything a job printed after `after`, then live, then the final batch. The right to see it is proven for this watcher, again
 * every few seconds. Throws what ends it, with `details.lastCounter`: where to go on.
 */
export async function* jobOutput(
  context: GraphqlContext,
  args: OutputRequest,
  signal: AbortSignal,
): AsyncGenerator<OutputBatch> {
  const tail = context.tails.watch(args.jobId, args.filter ?? null);
  signal.addEventListener('abort', tail.close);
  const reading: Reading = { position: args.after, answeredAt: null };
  try {
    while (!signal.aborted) {
      const read = await nextRead(context, tail, args, reading);
      const { batch, changes } = read;
      if (batch && (batch.final || batch.lastCounter > reading.position)) {
        yield batch;
        reading.position = batch.lastCounter;
      }
      if (batch?.final) return;
      if (!batch || batch.lastCounter >= batch.committedCounter) await tail.more(reading.position, changes);
    }
  } catch (error) {
    const { code, message, details } = asPlatformError(error);
    throw new PlatformError(code, message, {
      details: { ...details, lastCounter: reading.position },
      cause: error,
    });
  } finally {
    signal.removeEventListener('abort', tail.close);
    tail.close();
  }
}

interface Reading {
  position: number;
  /** When a service last answered; null before it ever did. */
  answeredAt: number | null;
}

/** A read that this watcher may have, whoever made it; rides out a service that is away for a while. */
const nextRead = async (
  context: GraphqlContext,
  tail: TailWatch,
  args: OutputRequest,
  reading: Reading,
): Promise<TailRead> => {
  const { call, rights } = context;
  for (;;) {
    try {
      const session = await context.session();
      const read = await tail.read(reading.position, async () => {
        const page = await readPage(call, { ...args, after: reading.position });
        rights.note(session, args.jobId);
        return page;
      });
      await rights.confirm(session, args.jobId, call);
      reading.answeredAt = performance.now();
      return read;
    } catch (error) {
      const away = isPlatformError(error) && error.code === 'unavailable';
      if (!away || reading.answeredAt === null) throw error;
      if (performance.now() - reading.answeredAt > RIDE_OUT_MILLISECONDS) throw error;
      await sleep(RETRY_MILLISECONDS);
    }
  }
};

/** A page of a job's events; null while the job has no record yet, a final one if it ended without ever having one. */
const readPage = async (call: GraphqlContext['call'], args: OutputRequest): Promise<EventPage | null> => {
  try {
    return await call(ListJobEvents, {
      jobId: args.jobId,
      after: args.after,
      limit: PAGE_EVENTS,
      filter: args.filter,
    });
  } catch (error) {
    if (!isPlatformError(error) || error.code !== 'not_found') throw error;
    const job = await call(GetJob, { jobId: args.jobId });
    if (!isFinal(job.status)) return null;
    return {
      events: [],
      lastCounter: args.after,
      committedCounter: 0,
      final: { count: 0, sha256: '', status: job.status },
    };
  }
};

/** A job now and after each change, until it is over. */
export async function* jobStatus(
  { call, live }: GraphqlContext,
  jobId: string,
  signal: AbortSignal,
): AsyncGenerator<Job> {
  const news = live.news(jobId);
  signal.addEventListener('abort', news.close);
  try {
    let shown: Job | null = null;
    for (let atLeast = 0; !signal.aborted;) {
      const job = await getJobAt(call, jobId, atLeast);
      if (!shown || hasChanged(shown, job)) yield job;
      shown = job;
      if (isFinal(job.status)) return;
      const heard = await news.next(POLL_MILLISECONDS);
      atLeast = Math.max(atLeast, ...heard.map((item) => item.streamVersion));
    }
  } finally {
    news.close();
  }
}

/** Every job that changes and may be seen, for as long as somebody watches. */
export async function* allJobStatus(
  { call, live, session }: GraphqlContext,
  signal: AbortSignal,
): AsyncGenerator<Job> {
  const news = live.news(null);
  signal.addEventListener('abort', news.close);
  try {
    while (!signal.aborted) {
      for (const { jobId, streamVersion } of await news.next(POLL_MILLISECONDS)) {
        const job = await getJobAt(call, jobId, streamVersion).catch(hidden);
        if (job) yield job;
      }
      await session();
    }
  } finally {
    news.close();
  }
}

const hidden = (error: unknown): null => {
  if (isPlatformError(error) && (error.code === 'forbidden' || error.code === 'not_found')) return null;
  throw error;
};

/** The read model may lag behind the news by some milliseconds: looks a few times for the version heard of. */
const getJobAt = async (call: GraphqlContext['call'], jobId: string, version: number): Promise<Job> => {
  for (let attempt = 0; ; attempt++) {
    const job = await call(GetJob, { jobId });
    if (job.version >= version || attempt === 6) return job;
    await new Promise((resolve) => setTimeout(resolve, 10 * 2 ** attempt));
  }
};

const hasChanged = (before: Job, after: Job): boolean =>
  before.status !== after.status ||
  before.cancelRequested !== after.cancelRequested ||
  before.reason?.message !== after.reason?.message ||
  (before.pinned === null) !== (after.pinned === null) ||
  (before.agent === null) !== (after.agent === null) ||
  before.startedAt !== after.startedAt;
