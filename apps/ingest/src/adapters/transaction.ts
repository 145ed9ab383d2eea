/** A transaction on a real pg client: COPY needs the client itself, which `withTransaction` of the event log hides. */
import { fromPostgres } from '@gantry/eventlog/sql';
import type pg from 'pg';

/** Begins, runs `work`, commits; rolls back when it throws. Postgres's errors come out as PlatformErrors. */
export const inTransaction = async <T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> => {
  const client = await pool.connect().catch((error: unknown) => {
    throw fromPostgres(error);
  });
  let broken: Error | undefined;
  // A connection that breaks while checked out emits 'error' besides failing its query; unheard it ends the process.
  const onError = (error: Error): void => void (broken = error);
  client.on('error', onError);
  try {
    await client.query('begin');
    const result = await work(client);
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch((rollbackError: Error) => (broken ??= rollbackError));
    throw fromPostgres(error);
  } finally {
    client.off('error', onError);
    client.release(broken);
  }
};
