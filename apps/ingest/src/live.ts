/** Hints for watchers after commits: at most one per job every 20 ms, the newest. */
import type { LiveHint } from '@gantry/contracts/record';

/** Tells watchers that a record has grown. */
export interface Live {
  committed(hint: LiveHint): void;
  /** Sends what waits. */
  stop(): void;
}

/** Over whatever publishes a hint. */
export const createLive = (publish: (hint: LiveHint) => void, milliseconds = 20): Live => {
  const newest = new Map<string, LiveHint>();
  let timer: NodeJS.Timeout | null = null;
  const send = (): void => {
    timer = null;
    for (const hint of newest.values()) publish(hint);
    newest.clear();
  };
  return {
    committed: (hint) => {
      const before = newest.get(hint.jobId);
      const committedCounter = Math.max(hint.committedCounter, before?.committedCounter ?? 0);
      newest.set(hint.jobId, {
        jobId: hint.jobId,
        committedCounter,
        sealed: hint.sealed || (before?.sealed ?? false),
      });
      timer ??= setTimeout(send, milliseconds);
    },
    stop: () => {
      if (timer) clearTimeout(timer);
      send();
    },
  };
};
