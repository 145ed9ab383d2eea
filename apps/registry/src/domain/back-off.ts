/**
 * How long a registry that gave no answer is left alone.
 *
 *   calm      it answers                                  -failure-> waiting
 *   waiting   the schedule leaves it alone until `retryAt`   -failure-> waiting, twice as long   -answer-> calm
 *             launches still ask, for a registry may be back at any moment; not while it said "later" itself, and not for the
 *             moment after it kept somebody waiting for nothing (`spareUntil`): a launch with a known digest goes on without it
 */

/** What is remembered of one registry. Times in milliseconds of one clock. */
export interface Waiting {
  failures: number;
  retryAt: number;
  spareUntil: number;
  failure: 'away' | 'rate_limited';
  words: string;
}

/** How it failed. */
export interface Failure {
  failure: Waiting['failure'];
  words: string;
  /** It was silent for so long. */
  tookMilliseconds: number;
  /** Its own wish. */
  retryAfterMilliseconds?: number;
}

const firstMilliseconds = 10_000;
const mostMilliseconds = 15 * 60_000;
const slowMilliseconds = 1_000;
const spareMilliseconds = 10_000;

/** After a failure. `chance` is from 0 to 1: registries that failed together are not asked together again. */
export const afterFailure = (
  before: Waiting | undefined,
  { failure, words, tookMilliseconds, retryAfterMilliseconds = 0 }: Failure,
  now: number,
  chance: number,
): Waiting => {
  const failures = (before?.failures ?? 0) + 1;
  const doubled = Math.min(mostMilliseconds, firstMilliseconds * 2 ** Math.min(failures - 1, 10));
  const wished = Math.min(retryAfterMilliseconds, 60 * 60_000);
  return {
    failures,
    failure,
    words,
    retryAt: now + Math.round(Math.max(wished, doubled * (0.8 + 0.4 * chance))),
    spareUntil: now + Math.max(wished, tookMilliseconds >= slowMilliseconds ? spareMilliseconds : 0),
  };
};
