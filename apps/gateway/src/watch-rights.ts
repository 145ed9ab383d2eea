/**
 * The right of each watcher to see the output it is given, apart from who read it. The answer is ingest's (before there is a record, the
 * launcher's); it is asked for a session and a job once, and a session lasts seconds (session.ts): so a right is
 * proven anew every few seconds, and at once when a token is revoked or a role is taken away, for then sessions end.
 */
import { isPlatformError } from '@gantry/contracts/errors';
import { GetJob } from '@gantry/contracts/job';
import { ListJobEvents } from '@gantry/contracts/record';
import type { Call } from './context.js';
import type { Session } from './session.js';

/** See the head of the file. */
export interface WatchRights {
  /** Throws `forbidden` or `not_found` when whoever is behind the session may not read the job's output. */
  confirm(session: Session, jobId: string, call: Call): Promise<void>;
  /** The owner has just answered this session about this job. */
  note(session: Session, jobId: string): void;
}

/** Above every counter: the answer is about the right alone, and costs ingest one row. */
const NOTHING_AFTER = 2 ** 31 - 1;

/** Rights of one gateway process. */
export const createWatchRights = (): WatchRights => {
  const proven = new WeakMap<Session, Map<string, Promise<void>>>();
  const of = (session: Session): Map<string, Promise<void>> => {
    const known = proven.get(session) ?? new Map<string, Promise<void>>();
    proven.set(session, known);
    return known;
  };
  return {
    confirm(session, jobId, call) {
      const known = of(session);
      const right = known.get(jobId) ?? ask(jobId, call);
      known.set(jobId, right);
      right.catch(() => known.delete(jobId));
      return right;
    },
    note: (session, jobId) => void of(session).set(jobId, Promise.resolve()),
  };
};

const ask = async (jobId: string, call: Call): Promise<void> => {
  try {
    await call(ListJobEvents, { jobId, after: NOTHING_AFTER, limit: 1 });
  } catch (error) {
    if (!isPlatformError(error) || error.code !== 'not_found') throw error;
    await call(GetJob, { jobId });
  }
};
