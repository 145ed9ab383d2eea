/** What the log needs of a Postgres connection, and how Postgres's errors become ours. */
import { PlatformError, isPlatformError } from '@gantry/contracts/errors';
import pg from 'pg';

/**
 * Anything that runs SQL: a `pg` pool or client, or a TypeORM query runner wrapped in one line. Parameters are
 * positional ($1, $2...). Throws whatever its driver throws; see `fromPostgres`.
 */
export interface Sql {
  // Rows are whatever the statement returns: the caller names the type or takes the fields as they come.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  query<Row extends object = Record<string, any>>(text: string, params?: unknown[]): Promise<{ rows: Row[] }>;
}

/** What else `openPool` may be told. */
export interface PoolSettings {
  /** Connections at most; 10 when left out. */
  max?: number;
  /** Shown in `pg_stat_activity`. */
  applicationName?: string;
  /** An idle connection broke (server restarted): worth a log line, the pool opens a new one by itself. */
  onIdleError?: (error: Error) => void;
}

/**
 * A pool whose idle connections may break without ending the process. Getting a connection fails as `unavailable`
 * after 10 s. The caller ends it.
 */
export const openPool = (url: string, settings: PoolSettings = {}): pg.Pool => {
  const pool = new pg.Pool({
    connectionString: url,
    max: settings.max ?? 10,
    application_name: settings.applicationName ?? 'gantry',
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
  });
  pool.on('error', (error) => settings.onIdleError?.(fromPostgres(error)));
  return pool;
};

/**
 * Runs `work` in a transaction of its own and commits; rolls back when `work` throws. Read committed. Errors of the
 * driver, inside `work` too, come out as `fromPostgres` says; what else `work` throws is unchanged.
 */
export const withTransaction = async <T>(
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

const connectionFailures = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
]);
// node-postgres gives these no code (verified on pg 8.23.1 by reading lib/client.js and pg-pool, 2026-11).
const connectionMessages =
  /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|not queryable/;

const codeFor = (sqlState: string, message: string): 'conflict' | 'unavailable' | 'invalid' | 'defect' => {
  if (connectionFailures.has(sqlState) || connectionMessages.test(message)) return 'unavailable';
  if (sqlState === '40001' || sqlState === '40P01' || sqlState === '23505') return 'conflict';
  // 25006: read-only, as a standby is until it is promoted.
  if (/^(08|53|57P|58)/.test(sqlState) || ['57014', '25P03', '25006'].includes(sqlState))
    return 'unavailable';
  if (sqlState.startsWith('22')) return 'invalid';
  return 'defect';
};

/**
 * An error of the driver as ours, by SQLSTATE: connection, resources, read-only and shutdown `unavailable`; unique key,
 * serialisation and deadlock `conflict`; data that Postgres cannot hold `invalid`; the rest `defect`. Anything that is
 * not from Postgres, a PlatformError included, is returned unchanged. `details.sqlState` keeps the original code; the
 * server's DETAIL line is left out, for it quotes row values.
 * Source: https://www.postgresql.org/docs/15/errcodes-appendix.html
 */
export const fromPostgres = <E>(error: E): E | PlatformError => {
  if (isPlatformError(error) || !(error instanceof Error)) return error;
  const sqlState = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const isPostgres =
    error instanceof pg.DatabaseError ||
    connectionFailures.has(sqlState) ||
    connectionMessages.test(error.message);
  if (!isPostgres) return error;
  return new PlatformError(codeFor(sqlState, error.message), `Postgres: ${error.message || sqlState}`, {
    details: { sqlState },
    cause: error,
  });
};

/** A name as an SQL identifier. Throws `invalid` for one that is empty or longer than Postgres keeps (63 bytes). */
export const identifier = (name: string): string => {
  if (name === '' || Buffer.byteLength(name) > 63 || name.includes('\0')) {
    throw new PlatformError('invalid', `"${name}" cannot be a name in Postgres: 1 to 63 bytes are allowed.`);
  }
  return `"${name.replaceAll('"', '""')}"`;
};
