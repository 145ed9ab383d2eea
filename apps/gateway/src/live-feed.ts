/**
 * Wakes subscriptions. What arrives on NATS is only a hint that there is something new; the something is always read from its
 * owner, so a lost hint costs a poll interval and nothing else.
 */
import { EventEmitter } from 'node:events';
import { publishWatched, subscribeEvents, subscribeLive } from '@gantry/bus/live';
import type { LiveHint } from '@gantry/contracts/record';
import { accessEvents } from '@gantry/contracts/subjects';
import type { ServiceKit } from '@gantry/service/kit';

/** News of a job's life: the event's type and the version its stream reached. */
export interface JobNews {
  jobId: string;
  type: string;
  streamVersion: number;
}

/** The feeds of one gateway process, shared by all its watchers. `on…` return how to stop. */
export interface LiveFeed {
  /** The record of a job has grown, or was sealed. */
  onOutput(jobId: string, callback: (hint: LiveHint) => void): () => void;
  /** Something happened in a job's life; `null`: in any job's. */
  onNews(jobId: string | null, callback: (news: JobNews) => void): () => void;
  /** A token was revoked or a role taken away: what was allowed may not be any more. */
  onAccess(callback: () => void): () => void;
  /** A waiter for news of one job, or of all. */
  news(jobId: string | null): NewsWaiter;
}

/** Hands over news in order; keeps the latest of each job only, so it is bounded by the number of jobs that change. */
export interface NewsWaiter {
  /** The news since the last call, after waiting at most `milliseconds` for some. Resolves at once when closed. */
  next(milliseconds: number): Promise<JobNews[]>;
  close(): void;
}

/** How often ingest is told which jobs are watched; it believes it for three times as long. */
const WATCHED_MILLISECONDS = 5_000;

/** Subscribes once to NATS for all watchers. */
export const createLiveFeed = (kit: Pick<ServiceKit, 'nats' | 'onStop'>): LiveFeed => {
  const emitter = new EventEmitter();
  emitter.setMaxListeners(0);
  const on = <T>(name: string, callback: (value: T) => void): (() => void) => {
    emitter.on(name, callback);
    return () => void emitter.off(name, callback);
  };
  const stops = [
    subscribeLive(kit.nats, '*', (hint) => emitter.emit(`output:${hint.jobId}`, hint)),
    subscribeEvents(kit.nats, ['job.*'], ({ stream, type, streamVersion }) => {
      const jobId = stream.slice(stream.indexOf('-') + 1);
      const news: JobNews = { jobId, type, streamVersion };
      emitter.emit(`news:${jobId}`, news);
      emitter.emit('news', news);
    }),
    subscribeEvents(kit.nats, accessEvents, () => emitter.emit('access')),
  ];
  const watchers = new Map<string, number>();
  const telling = setInterval(() => publishWatched(kit.nats, [...watchers.keys()]), WATCHED_MILLISECONDS);
  telling.unref();
  kit.onStop(() => {
    clearInterval(telling);
    stops.forEach((stop) => stop());
  });
  const count = (jobId: string, by: 1 | -1): void => {
    const before = watchers.get(jobId) ?? 0;
    if (before + by > 0) watchers.set(jobId, before + by);
    else watchers.delete(jobId);
    if (before === 0) publishWatched(kit.nats, [jobId]);
  };
  const onNews = (jobId: string | null, callback: (news: JobNews) => void) =>
    on(jobId === null ? 'news' : `news:${jobId}`, callback);
  return {
    onOutput: (jobId, callback) => {
      count(jobId, 1);
      const off = on(`output:${jobId}`, callback);
      return () => {
        count(jobId, -1);
        off();
      };
    },
    onNews,
    onAccess: (callback) => on('access', callback),
    news: (jobId) => createNewsWaiter((callback) => onNews(jobId, callback)),
  };
};

const createNewsWaiter = (subscribe: (callback: (news: JobNews) => void) => () => void): NewsWaiter => {
  const pending = new Map<string, JobNews>();
  let closed = false;
  let wake: (() => void) | null = null;
  const unsubscribe = subscribe((news) => {
    pending.delete(news.jobId);
    pending.set(news.jobId, news);
    wake?.();
  });
  return {
    async next(milliseconds) {
      if (pending.size === 0 && !closed) await pause(milliseconds, (resolve) => (wake = resolve));
      wake = null;
      const news = [...pending.values()];
      pending.clear();
      return news;
    },
    close() {
      closed = true;
      unsubscribe();
      wake?.();
    },
  };
};

const pause = (milliseconds: number, register: (resolve: () => void) => void): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    register(() => {
      clearTimeout(timer);
      resolve();
    });
  });
