/**
 * Which jobs somebody watches. Their pods send what they have each 80 ms; where nobody looks, each 400 ms: a fifth of the
 * transactions for the same events. What an agent does not hear costs nothing but that: an event is as safe either way, for
 * the agent keeps it until it is committed.
 */

/** Jobs that are watched, as far as this process has heard. */
export interface Watched {
  /** Gateways say so every five seconds. */
  heard(jobIds: readonly string[]): void;
  /** What a pod is told: after how many milliseconds it shall send what it has. */
  flushMilliseconds(jobId: string): number;
}

const BELIEVED_MILLISECONDS = 15_000;

/** Nobody watches yet. `now`: a monotonic clock in milliseconds. */
export const createWatched = (
  { watched, unwatched }: { watched: number; unwatched: number },
  now: () => number = () => performance.now(),
): Watched => {
  const until = new Map<string, number>();
  return {
    heard: (jobIds) => {
      const at = now();
      for (const jobId of jobIds) {
        until.delete(jobId);
        until.set(jobId, at + BELIEVED_MILLISECONDS);
      }
      // In the order in which they were heard of last: the first that is still believed ends the search.
      for (const [jobId, end] of until) {
        if (end > at) break;
        until.delete(jobId);
      }
    },
    flushMilliseconds: (jobId) => ((until.get(jobId) ?? 0) > now() ? watched : unwatched),
  };
};
