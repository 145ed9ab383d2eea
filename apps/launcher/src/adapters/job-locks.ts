/**
 * Who drives which job: session-level advisory locks in Postgres, all on one connection of this process. They die with it, so a
 * launcher that is gone holds nothing, and no lease has to run out before another takes over.
 */
import { fromPostgres } from '@gantry/eventlog/sql';
import pg from 'pg';

/** Locks on jobs. */
export interface JobLocks {
  /** False: another process has it, or this one already. Throws `unavailable` while Postgres is away. */
  take(jobId: string): Promise<boolean>;
  release(jobId: string): Promise<void>;
  close(): Promise<void>;
}

/** Locks over a connection of their own. `onLost`: the connection broke, and with it every lock that was held. */
export const createJobLocks = (url: string, onLost: (error: Error) => void): JobLocks => {
  const held = new Set<string>();
  let connecting: Promise<pg.Client> | undefined;
  let closed = false;

  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client({
      connectionString: url,
      application_name: 'gantry-launcher-locks',
      keepAlive: true,
      connectionTimeoutMillis: 10_000,
    });
    const lose = (error: Error): void => {
      if (closed || connecting === undefined) return;
      connecting = undefined;
      held.clear();
      onLost(error);
    };
    client.on('error', lose);
    client.on('end', () => lose(new Error('the connection ended')));
    await client.connect();
    return client;
  };
  const session = (): Promise<pg.Client> =>
    (connecting ??= connect().catch((error: unknown) => {
      connecting = undefined;
      throw fromPostgres(error);
    }));
  // One statement at a time: a connection of `pg` takes no second one before the first is answered.
  let last: Promise<unknown> = Promise.resolve();
  const ask = (text: string, jobId: string): Promise<boolean> => {
    const answer = last.then(() => askNow(text, jobId));
    last = answer.catch(() => undefined);
    return answer;
  };
  const askNow = async (text: string, jobId: string): Promise<boolean> => {
    const client = await session();
    const { rows } = await client
      .query<{ done: boolean }>(`select ${text}(hashtextextended($1, 0)) as done`, [`gantry job ${jobId}`])
      .catch((error: unknown) => {
        throw fromPostgres(error);
      });
    return rows[0]?.done === true;
  };

  return {
    take: async (jobId) => {
      if (held.has(jobId)) return false;
      // Noted before it is asked for: the lock is the session's, which would get it a second time.
      held.add(jobId);
      const taken = await ask('pg_try_advisory_lock', jobId).catch((error: unknown) => {
        held.delete(jobId);
        throw error;
      });
      if (!taken) held.delete(jobId);
      return taken;
    },
    release: async (jobId) => {
      if (!held.has(jobId)) return;
      await ask('pg_advisory_unlock', jobId);
      held.delete(jobId);
    },
    close: async () => {
      closed = true;
      const client = await connecting?.catch(() => undefined);
      await client?.end();
    },
  };
};
