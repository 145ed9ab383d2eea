/** A wake-up call for whoever waits in this process. */
import { setMaxListeners } from 'node:events';

/** How to wait. */
export interface WaitOptions {
  /** What `count` gave before the look that found nothing: a wake-up since then ends the wait at once. */
  since?: number;
  signal?: AbortSignal;
  timeoutMs: number;
}

/** Waiting for a wake-up, a time-out or an abort, whichever comes first. */
export interface Waker {
  /** Ends every wait that is under way. */
  wake(): void;
  /** How often it has been woken. */
  count(): number;
  /** Resolves at the next `wake` (true), or after `timeoutMs` or when `signal` fires (false); never rejects. */
  nextWake(options: WaitOptions): Promise<boolean>;
}

/** A waker with nobody waiting yet. */
export const createWaker = (): Waker => {
  const waiting = new Set<(woken: boolean) => void>();
  let count = 0;
  return {
    wake: () => {
      count += 1;
      for (const end of [...waiting]) end(true);
    },
    count: () => count,
    nextWake: ({ since = count, signal, timeoutMs }) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve(false);
        if (since !== count) return resolve(true);
        const end = (woken: boolean): void => {
          clearTimeout(timer);
          waiting.delete(end);
          signal?.removeEventListener('abort', giveUp);
          resolve(woken);
        };
        const giveUp = (): void => end(false);
        const timer = setTimeout(giveUp, timeoutMs);
        waiting.add(end);
        if (signal) {
          // Many may wait for one signal: that is no leak, each takes its listener away.
          setMaxListeners(0, signal);
          signal.addEventListener('abort', giveUp);
        }
      }),
  };
};
