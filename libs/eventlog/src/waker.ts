/** A wake-up call for whoever waits in this process. */

/** Waiting for a wake-up, a time-out or an abort, whichever comes first. */
export interface Waker {
  /** Ends every wait that is under way. */
  wake(): void;
  /** Resolves at the next `wake` (true), or after `timeoutMs` or when `signal` fires (false); never rejects. */
  nextWake(options: { signal?: AbortSignal; timeoutMs: number }): Promise<boolean>;
}

/** A waker with nobody waiting yet. */
export const createWaker = (): Waker => {
  const waiting = new Set<(woken: boolean) => void>();
  return {
    wake: () => {
      for (const end of [...waiting]) end(true);
    },
    nextWake: ({ signal, timeoutMs }) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve(false);
        const end = (woken: boolean): void => {
          clearTimeout(timer);
          waiting.delete(end);
          signal?.removeEventListener('abort', giveUp);
          resolve(woken);
        };
        const giveUp = (): void => end(false);
        const timer = setTimeout(giveUp, timeoutMs);
        waiting.add(end);
        signal?.addEventListener('abort', giveUp);
      }),
  };
};
