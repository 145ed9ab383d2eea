/**
 * Wakes subscriptions. What arrives on NATS is only a hint that there is something new; the something is always read from its
 * owner, so a lost hint costs a poll interval and nothing else.
 */
import { EventEmitter } from 'node:events';
import { subscribeLive } from '@gantry/bus/live';
import { EventEnvelope } from '@gantry/contracts/envelope';
import type { ServiceKit } from '@gantry/service/kit';

/** News of a job's life: the event's type and the version its stream reached. */
export interface JobNews {
  jobId: string;
  type: string;
  streamVersion: number;
}

/** The feeds of one gateway process, shared by all its watchers. */
export interface LiveFeed {
  /** A waiter for new output of a job. */
  output(jobId: string): Waiter;
  /** A waiter for news of one job, or of all. */
  news(jobId: string | null): NewsWaiter;
}

/** Waits for a wake-up; one that came since the last wait counts. */
export interface Waiter {
  /** Resolves on a wake-up or after `milliseconds`. */
  next(milliseconds: number): Promise<void>;
  close(): void;
}

/** Hands over news in order; keeps the latest of each job only, so it is bounded by the number of jobs that change. */
export interface NewsWaiter {
  /** The news since the last call, after waiting at most `milliseconds` for some. */
  next(milliseconds: number): Promise<JobNews[]>;
  close(): void;
}

/** Subscribes once to NATS for all watchers. */
export const createLiveFeed = (kit: Pick<ServiceKit, 'nats' | 'onStop' | 'logger'>): LiveFeed => {
  const emitter = new EventEmitter();
  emitter.setMaxListeners(0);
  const stopLive = subscribeLive(kit.nats, '*', (hint) => emitter.emit(`output:${hint.jobId}`));
  const events = kit.nats.subscribe('gantry.evt.job.>', {
    callback: (error, message) => {
      if (error) return kit.logger.warn({ err: error }, 'job events cannot be watched');
      const parsed = EventEnvelope.safeParse(safeJson(message.string()));
      if (!parsed.success) return;
      const { stream, type, streamVersion } = parsed.data;
      const jobId = stream.slice(stream.indexOf('-') + 1);
      const news: JobNews = { jobId, type, streamVersion };
      emitter.emit('news', news);
    },
  });
  kit.onStop(async () => {
    stopLive();
    events.unsubscribe();
  });
  return {
    output: (jobId) => createWaiter(emitter, `output:${jobId}`),
    news: (jobId) => createNewsWaiter(emitter, jobId),
  };
};

const safeJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};

const createWaiter = (emitter: EventEmitter, name: string | symbol): Waiter => {
  let woken = false;
  let wake: (() => void) | null = null;
  const onHint = () => {
    woken = true;
    wake?.();
  };
  emitter.on(name, onHint);
  return {
    async next(milliseconds) {
      if (!woken) await pause(milliseconds, (resolve) => (wake = resolve));
      woken = false;
      wake = null;
    },
    close() {
      emitter.off(name, onHint);
      wake?.();
    },
  };
};

const createNewsWaiter = (emitter: EventEmitter, jobId: string | null): NewsWaiter => {
  let pending = new Map<string, JobNews>();
  const waiterName = Symbol('news');
  const waiter = createWaiter(emitter, waiterName);
  const onNews = (news: JobNews) => {
    if (jobId !== null && news.jobId !== jobId) return;
    pending.delete(news.jobId);
    pending.set(news.jobId, news);
    emitter.emit(waiterName);
  };
  emitter.on('news', onNews);
  return {
    async next(milliseconds) {
      await waiter.next(milliseconds);
      const news = [...pending.values()];
      pending = new Map();
      return news;
    },
    close() {
      emitter.off('news', onNews);
      waiter.close();
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
