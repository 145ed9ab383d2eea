/** What ingest needs of its Postgres before it may promise anything. */
import { PlatformError } from '@gantry/contracts/errors';
import { fromPostgres, type Sql } from '@gantry/eventlog/sql';

/** Settings of which each one off means that a committed batch may be lost, or its page torn, in a power cut. */
const durableSettings = ['fsync', 'synchronous_commit', 'full_page_writes'];

/**
 * A commit is the only acknowledgement, so it must survive a power cut. Throws `refused` when the server runs with one of
 * `durableSettings` off: what counts is what holds in this very session, so also what is set for the role or the database.
 * With `allowUnsafe` nothing is refused. To be asked again later: a failover may lead to another server.
 */
export const requireDurable = async (sql: Sql, allowUnsafe: boolean): Promise<void> => {
  if (allowUnsafe) return;
  const { rows } = await sql
    .query<{ name: string; source: string }>(
      `select name, source from pg_settings where name = any($1::text[]) and setting = 'off' order by name`,
      [durableSettings],
    )
    .catch(rethrow);
  if (rows.length === 0) return;
  const what = rows.map(({ name, source }) => `${name} = off (set by: ${source})`).join(' and ');
  throw new PlatformError(
    'refused',
    `Postgres runs with ${what}: events that pods were told are safe could be lost. Switch it on, or set GANTRY_INGEST_ALLOW_UNSAFE=1 for tests.`,
    { details: { settings: rows.map((row) => row.name) } },
  );
};

const rethrow = (error: unknown): never => {
  throw fromPostgres(error);
};
