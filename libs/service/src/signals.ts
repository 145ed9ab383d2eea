/**
 * Signals put together. Not `AbortSignal.any` and `AbortSignal.timeout`: on Node 20 what they make may be garbage-collected while
 * somebody waits for it, and then it never fires (seen 2026-11: a job waited for ever for the end of its pod).
 */

/** A signal, and how to let go of what it hangs on. */
export interface JoinedSignal {
  readonly signal: AbortSignal;
  /** Stops listening and counting: call it when nobody waits for the signal any more. */
  release(): void;
}

/** Fires with the first of `signals`, or after `milliseconds` if given. */
export const joinSignals = (signals: readonly AbortSignal[], milliseconds?: number): JoinedSignal => {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  for (const signal of signals) {
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  }
  const timer = milliseconds === undefined ? undefined : setTimeout(abort, milliseconds);
  return {
    signal: controller.signal,
    release: () => {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener('abort', abort);
    },
  };
};
