/** Waiting on a condition instead of on time. */

/** How long to try, and how to name it when it fails. */
export interface EventuallyOptions {
  /** Give up after this long; 10,000 ms when left out. A bound for a broken run, never an expectation. */
  timeoutMs?: number;
  /** Pause between two looks; 20 ms when left out. */
  intervalMs?: number;
  /** What is waited for, as a noun: goes into the error. */
  what?: string;
}

/**
 * Calls `look` until it neither throws nor returns false, null or undefined, and returns what it gave. Zero and the
 * empty string count as found. Throws an Error that says what was last seen, the last error as its cause.
 */
export const eventually = async <T>(
  look: () => T | Promise<T>,
  { timeoutMs = 10_000, intervalMs = 20, what = 'the condition' }: EventuallyOptions = {},
): Promise<Exclude<T, false | null | undefined>> => {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    let seen: unknown;
    let failure: unknown;
    try {
      seen = await look();
      if (seen !== false && seen !== null && seen !== undefined)
        return seen as Exclude<T, false | null | undefined>;
    } catch (error) {
      failure = error;
    }
    if (performance.now() >= deadline) {
      const last = failure === undefined ? `last seen: ${String(seen)}` : `last error: ${messageOf(failure)}`;
      throw new Error(`Waited ${timeoutMs} ms in vain for ${what}; ${last}`, { cause: failure });
    }
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
};

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
