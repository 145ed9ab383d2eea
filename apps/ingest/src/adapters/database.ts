/** What ingest needs of its Postgres before it may promise anything. */
import { PlatformError } from '@gantry/contracts/errors';
import { fromPostgres, type Sql } from '@gantry/eventlog/sql';

/**
 * A commit is the only acknowledgement, so it must survive a power cut. Throws `refused` when the server runs with
 * fsync or synchronous_commit off, unless `allowUnsafe`.
 */
export const requireDurable = async (sql: Sql, allowUnsafe: boolean): Promise<void> => {
  const { rows } = await sql
    .query<{ name: string; setting: string }>(
      `select name, setting from pg_settings where name in ('fsync', 'synchronous_commit') and setting = 'off'`,
    )
    .catch(rethrow);
  if (rows.length === 0 || allowUnsafe) return;
  const what = rows.map((row) => `${row.name} = ${row.setting}`).join(' and ');
  throw new PlatformError(
    'refused',
    `Postgres runs with ${what}: events that pods were told are safe could be lost. Switch it on, or set GANTRY_INGEST_ALLOW_UNSAFE=1 for tests.`,
    { details: { settings: rows.map((row) => row.name) } },
  );
};

const rethrow = (error: unknown): never => {
  throw fromPostgres(error);
};
