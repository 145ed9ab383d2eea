/**
 * Rings when what follows Postgres (the relay, the publisher of job events) has stayed behind it for too long.
 *
 * keeping up -> ringing, when what was there at the last look but `seconds` ago is still not reached -> keeping up, when it is.
 * Time is this process's own monotonic clock: a wall clock that jumps neither rings nor hushes. Every replica looks, not
 * only the one that leads: a leader that hangs tells nobody.
 */
import { performance } from 'node:perf_hooks';
import { asPlatformError } from '@gantry/contracts/errors';
import type { Logger } from './logger.js';

/** What follows, looked at in Postgres. Both throw `unavailable` while Postgres is away. */
export interface Follower<Mark> {
  /** All that there is now, and that is to be reached. */
  mark(): Promise<Mark>;
  /** What of it is not reached, as the beginning of a sentence ("12 events of the log are not on GANTRY_EVT"); null when all is. */
  missing(mark: Mark): Promise<string | null>;
}

/** The alarm. */
export interface LagAlarm {
  /** Looks, and writes a line into the log when it begins or stops to ring. To be called every `lookMilliseconds`. */
  look(): Promise<void>;
  /** Throws while it rings, and says for how long what is missing. */
  check(): Promise<void>;
}

/** How often to look for a lag of so many seconds: it is noticed a fifth later at most, and within five seconds. */
export const lookMilliseconds = (seconds: number): number => Math.min(seconds * 200, 5_000);

/** An alarm for what is more than `seconds` behind. `now`: milliseconds that only go on. */
export const createLagAlarm = <Mark>(settings: {
  name: string;
  seconds: number;
  follower: Follower<Mark>;
  logger: Pick<Logger, 'warn' | 'info'>;
  now?: () => number;
}): LagAlarm => {
  const { name, seconds, follower, logger, now = () => performance.now() } = settings;
  let marked: { mark: Mark; at: number } | null = null;
  let ringing: string | null = null;

  const hush = (at: number): void => {
    if (ringing)
      logger.info({ follower: name, seconds: Math.round((at - marked!.at) / 1_000) }, 'has caught up');
    ringing = null;
  };
  const look = async (): Promise<void> => {
    const at = now();
    const missing = marked && (await follower.missing(marked.mark));
    if (!missing) {
      hush(at);
      marked = { mark: await follower.mark(), at };
      return;
    }
    const behind = (at - marked!.at) / 1_000;
    if (behind <= seconds) return;
    const rang = ringing !== null;
    ringing = `${missing} after ${Math.floor(behind)} s; more than ${seconds} s is too late`;
    if (!rang) logger.warn({ follower: name }, ringing);
  };
  return {
    look: () =>
      look().catch((error: unknown) => {
        // Readiness says by itself that Postgres is away; how far behind it is nobody knows until it is back.
        if (asPlatformError(error).code !== 'unavailable') throw error;
      }),
    check: async () => {
      if (ringing) throw new Error(ringing);
    },
  };
};
