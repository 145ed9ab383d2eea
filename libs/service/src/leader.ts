/** One replica at a time: whoever holds an advisory lock, for as long as the connection that took it lives. */
import type pg from 'pg';
import { pause } from './pause.js';

const otherReplicaMilliseconds = 1_000;

/**
 * Waits until this process holds the lock `name`, then runs `work` once. `lost` fires when the lock's connection breaks:
 * another replica may have it from then on. Throws what `work` and Postgres throw; returns when `signal` fires first.
 */
export const whileLeading = async (
  pool: pg.Pool,
  name: string,
  signal: AbortSignal,
  work: (lost: AbortSignal) => Promise<void>,
): Promise<void> => {
  const client = await pool.connect();
  const lost = new AbortController();
  let broken: Error | undefined;
  const onError = (error: Error): void => {
    broken = error;
    lost.abort();
  };
  client.on('error', onError);
  try {
    while (!signal.aborted) {
      const { rows } = await client.query<{ held: boolean }>(
        'select pg_try_advisory_lock(hashtextextended($1, 0)) as held',
        [name],
      );
      if (rows[0]?.held) {
        await work(lost.signal);
        return;
      }
      await pause(otherReplicaMilliseconds, signal);
    }
  } finally {
    client.off('error', onError);
    // Not back into the pool: with its session the lock ends, whatever state it is in.
    client.release(broken ?? true);
  }
};
