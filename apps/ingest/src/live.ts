/**
 * Hints for watchers after commits. The first of a job goes out at once; what follows within 20 ms waits and goes out as one, the
 * newest: a watcher is woken without delay, and at most fifty times a second.
 */
import type { LiveHint } from '@gantry/contracts/record';

/** Tells watchers that a record has grown. */
export interface Live {
  committed(hint: LiveHint): void;
  /** Sends what waits. */
  stop(): void;
}

/** Over whatever publishes a hint. */
export const createLive = (publish: (hint: LiveHint) => void, milliseconds = 20): Live => {
  /** Jobs that somebody was told of within the last `milliseconds`, with what there is to tell since. */
  const told = new Map<string, LiveHint | null>();
  let timer: NodeJS.Timeout | null = null;
  const send = (): void => {
    timer = null;
    for (const [jobId, hint] of told) {
      if (hint) publish(hint);
      if (hint) told.set(jobId, null);
      else told.delete(jobId);
    }
    if (told.size > 0) timer = setTimeout(send, milliseconds);
  };
  return {
    committed: (hint) => {
      const before = told.get(hint.jobId);
      if (before === undefined) publish(hint);
      told.set(hint.jobId, before === undefined ? null : newer(before, hint));
      timer ??= setTimeout(send, milliseconds);
    },
    stop: () => {
      if (timer) clearTimeout(timer);
      for (const hint of told.values()) if (hint) publish(hint);
      told.clear();
    },
  };
};

const newer = (before: LiveHint | null, hint: LiveHint): LiveHint => ({
  jobId: hint.jobId,
  committedCounter: Math.max(hint.committedCounter, before?.committedCounter ?? 0),
  sealed: hint.sealed || (before?.sealed ?? false),
});
