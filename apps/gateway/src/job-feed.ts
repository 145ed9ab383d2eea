/**
 * The sources of the subscriptions: async generators that read the next page only when the last one has left, so a slow
 * watcher holds nothing but its own position.
 */
import { isPlatformError } from '@gantry/contracts/errors';
import { GetJob, isFinal, type Job } from '@gantry/contracts/job';
import { ListJobEvents, type JobEventFilter } from '@gantry/contracts/record';
import type { OutputOf } from '@gantry/contracts/command';
import type { GraphqlContext } from './context.js';

/** Longest wait for a hint that may have been lost. */
const POLL_MILLISECONDS = 2_000;
const PAGE_EVENTS = 500;

type EventPage = OutputOf<typeof ListJobEvents>;

/** A batch as the schema has it. */
export interface OutputBatch extends EventPage {
  firstCounter: number;
}

/** Everything a job printed after `after`, then live, then the final batch. */
export async function* jobOutput(
  { call, live }: GraphqlContext,
  args: { jobId: string; after: number; filter?: JobEventFilter | null },
): AsyncGenerator<OutputBatch> {
  let position = args.after;
  const hints = live.output(args.jobId);
  const news = live.news(args.jobId);
  try {
    for (;;) {
      const page = await readPage(call, { ...args, after: position });
      if (page && (page.final || page.lastCounter > position)) {
        yield { ...page, firstCounter: position + 1 };
        position = page.lastCounter;
      }
      if (page?.final) return;
      if (!page || page.lastCounter >= page.committedCounter) {
        await (page
          ? hints.next(POLL_MILLISECONDS)
          : Promise.race([hints.next(POLL_MILLISECONDS), news.next(POLL_MILLISECONDS)]));
      }
    }
  } finally {
    hints.close();
    news.close();
  }
}

/** A page of a job's events; null while the job has no record yet, a final one if it ended without ever having one. */
const readPage = async (
  call: GraphqlContext['call'],
  args: { jobId: string; after: number; filter?: JobEventFilter | null },
): Promise<EventPage | null> => {
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
export async function* jobStatus({ call, live }: GraphqlContext, jobId: string): AsyncGenerator<Job> {
  const news = live.news(jobId);
  try {
    let shown: Job | null = null;
    for (let atLeast = 0; ;) {
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
export async function* allJobStatus({ call, live, session }: GraphqlContext): AsyncGenerator<Job> {
  const news = live.news(null);
  try {
    for (;;) {
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
