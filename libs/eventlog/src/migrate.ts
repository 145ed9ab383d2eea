/** Schema changes: numbered plain SQL, forward only, run by the administrator before a service starts. */
import { fileURLToPath } from 'node:url';
import { PlatformError } from '@gantry/contracts/errors';
import pg from 'pg';
import { fillSchema, readMigrations, type MigrationFile } from './migration-files.js';
import { fromPostgres, identifier, type Sql } from './sql.js';

/** What to migrate. */
export interface MigrateSettings {
  /** Postgres schema; made when missing. */
  schema: string;
  /** Folder of `000001_what_it_does.sql` files, each using `:SCHEMA` for the schema's name. */
  directory: string;
  /** Several folders may change one schema, each counted by itself; `service` when left out. */
  series?: string;
}

const logMigrations = fileURLToPath(new URL('../migrations/', import.meta.url));

/**
 * Brings a schema up to date, one transaction per file, under an advisory lock, so that it may run twice at once.
 * `client` must be one session (no pool). Returns the files it ran.
 * Throws `refused` with reason `schema_newer` when the database has migrations that this build does not, and
 * `migration_changed` when a file differs from what was run; `defect` when a file's SQL fails, with its name.
 */
export const migrate = async (
  client: Sql,
  { schema, directory, series = 'service' }: MigrateSettings,
): Promise<string[]> => {
  const files = await readMigrations(directory);
  const lock = [`gantry-migrate:${schema}`];
  try {
    await client.query('select pg_advisory_lock(hashtextextended($1, 0))', lock);
    try {
      return await runPending(client, schema, series, files);
    } finally {
      await client.query('select pg_advisory_unlock(hashtextextended($1, 0))', lock).catch(() => undefined);
    }
  } catch (error) {
    throw fromPostgres(error);
  }
};

const runPending = async (
  client: Sql,
  schema: string,
  series: string,
  files: MigrationFile[],
): Promise<string[]> => {
  const table = `${identifier(schema)}.schema_migration`;
  await client.query(`create schema if not exists ${identifier(schema)}`);
  await client.query(
    `create table if not exists ${table} (series text, number integer, file text not null, checksum text not null,
       applied_at timestamptz not null default now(), primary key (series, number))`,
  );
  const { rows } = await client.query<{ number: number; file: string; checksum: string }>(
    `select number, file, checksum from ${table} where series = $1 order by number`,
    [series],
  );
  for (const row of rows) checkApplied(schema, row, files[row.number - 1]);
  const pending = files.slice(rows.length);
  for (const migration of pending) await runOne(client, schema, series, table, migration);
  return pending.map(({ file }) => file);
};

const checkApplied = (
  schema: string,
  row: { file: string; checksum: string },
  file: MigrationFile | undefined,
): void => {
  if (!file) {
    throw new PlatformError(
      'refused',
      `Schema ${schema} has migration ${row.file}, which this build does not know: start the newer build.`,
      {
        details: { reason: 'schema_newer', schema, file: row.file },
      },
    );
  }
  if (file.checksum !== row.checksum) {
    throw new PlatformError(
      'refused',
      `${file.file} was changed after it had run on schema ${schema}: put it back and add a new file.`,
      {
        details: { reason: 'migration_changed', schema, file: file.file },
      },
    );
  }
};

const runOne = async (
  client: Sql,
  schema: string,
  series: string,
  table: string,
  migration: MigrationFile,
): Promise<void> => {
  try {
    await client.query('begin');
    await client.query(fillSchema(migration.sql, schema));
    await client.query(`insert into ${table} (series, number, file, checksum) values ($1, $2, $3, $4)`, [
      series,
      migration.number,
      migration.file,
      migration.checksum,
    ]);
    await client.query('commit');
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    const reason = error instanceof Error ? error.message : String(error);
    throw new PlatformError('defect', `Migration ${migration.file} of schema ${schema} failed: ${reason}`, {
      details: { schema, file: migration.file },
      cause: error,
    });
  }
};

/** What to make of an empty or older cluster. */
export interface ProvisionSettings {
  /** URL of a role that may create roles (and the database, when it is missing); any database of the cluster. */
  adminUrl: string;
  services: readonly ServiceDatabase[];
  /** Database of all services; `gantry` when left out. */
  database?: string;
  /** Before the service's name in its role's name; `gantry_` when left out. Roles belong to the whole cluster. */
  rolePrefix?: string;
}

/** One service's part of the database. */
export interface ServiceDatabase {
  /** Name of the service and of its schema. */
  name: string;
  /** Password its role gets. */
  password: string;
  /** Folder of the service's own migrations, null for none. */
  migrationsDir: string | null;
  /** Views of its schema that whoever has the role `<rolePrefix>reader` may read; none when left out. */
  readerViews?: readonly string[];
}

/**
 * Makes, or brings up to date, the database, and per service a login role, a schema, the event log and the service's
 * own tables. Idempotent; safe to run twice at once. The role may read and append its log, and nothing else there; it
 * reads and writes the schema's other tables, later ones included, and owns none. Public access to the database is
 * taken away; a role idle in a transaction for 60 s is cut off, for it would hold every tail back.
 * A role without login, `<rolePrefix>reader`, may read the `readerViews` and nothing else: for people's own logins to be put in.
 * Returns the URL with which each service logs in, by name.
 * Throws `invalid` for a URL as `urlFor` says; `refused` when the administrator may not do it; `unavailable` when Postgres cannot be reached; what `migrate` throws.
 */
export const provision = async (settings: ProvisionSettings): Promise<Record<string, string>> => {
  const { adminUrl, services, database = 'gantry', rolePrefix = 'gantry_' } = settings;
  const databaseUrl = urlFor(adminUrl, { database });
  return withClient(adminUrl, async (cluster) => {
    // Roles are the cluster's: two runs that alter one at once fail ("tuple concurrently updated").
    await cluster.query(`select pg_advisory_lock(hashtextextended('gantry-provision', 0))`);
    await createDatabase(cluster, database);
    const urls: Record<string, string> = {};
    await withClient(databaseUrl, async (client) => {
      await client.query(`revoke all on database ${identifier(database)} from public`);
      for (const service of services) {
        const role = `${rolePrefix}${service.name}`;
        await provisionService(client, database, role, service);
        urls[service.name] = urlFor(adminUrl, { database, user: role, password: service.password });
      }
      await provisionReader(client, database, `${rolePrefix}reader`, services);
    });
    return urls;
  });
};

const createDatabase = async (client: Sql, database: string): Promise<void> => {
  const { rows } = await client.query('select 1 from pg_database where datname = $1', [database]);
  if (rows.length === 0) await client.query(`create database ${identifier(database)}`);
};

const provisionService = async (
  client: Sql,
  database: string,
  role: string,
  service: ServiceDatabase,
): Promise<void> => {
  const [schema, quotedRole] = [identifier(service.name), identifier(role)];
  const { rows } = await client.query('select 1 from pg_roles where rolname = $1', [role]);
  const password = pg.escapeLiteral(service.password);
  await client.query(
    `${rows.length === 0 ? 'create' : 'alter'} role ${quotedRole} login password ${password}`,
  );
  await client.query(`alter role ${quotedRole} set idle_in_transaction_session_timeout = '60s'`);
  await client.query(`grant connect on database ${identifier(database)} to ${quotedRole}`);

  await migrate(client, { schema: service.name, directory: logMigrations, series: 'eventlog' });
  if (service.migrationsDir !== null)
    await migrate(client, { schema: service.name, directory: service.migrationsDir });

  const readAndWrite = 'select, insert, update, delete, truncate';
  await client.query(`
    grant usage on schema ${schema} to ${quotedRole};
    grant ${readAndWrite} on all tables in schema ${schema} to ${quotedRole};
    grant usage, select on all sequences in schema ${schema} to ${quotedRole};
    alter default privileges in schema ${schema} grant ${readAndWrite} on tables to ${quotedRole};
    alter default privileges in schema ${schema} grant usage, select on sequences to ${quotedRole};
    revoke all on ${schema}.event_log, ${schema}.schema_migration from ${quotedRole};
    grant select, insert on ${schema}.event_log to ${quotedRole};
    grant select on ${schema}.schema_migration to ${quotedRole};`);
};

const provisionReader = async (
  client: Sql,
  database: string,
  role: string,
  services: readonly ServiceDatabase[],
): Promise<void> => {
  const quotedRole = identifier(role);
  const { rows } = await client.query('select 1 from pg_roles where rolname = $1', [role]);
  if (rows.length === 0) await client.query(`create role ${quotedRole} nologin`);
  await client.query(`grant connect on database ${identifier(database)} to ${quotedRole}`);
  for (const { name, readerViews = [] } of services) {
    if (readerViews.length === 0) continue;
    await client.query(`grant usage on schema ${identifier(name)} to ${quotedRole}`);
    for (const view of readerViews)
      await client.query(`grant select on ${identifier(name)}.${identifier(view)} to ${quotedRole}`);
  }
};

const withClient = async <T>(url: string, work: (client: Sql) => Promise<T>): Promise<T> => {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'gantry-provision',
    connectionTimeoutMillis: 10_000,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await work(client);
  } catch (raw) {
    const error = fromPostgres(raw);
    if (error instanceof PlatformError && error.details['sqlState'] === '42501') {
      throw new PlatformError(
        'refused',
        `The administrator's role may not set up Gantry's database: ${error.message}`,
        { cause: raw },
      );
    }
    throw error;
  } finally {
    await client.end().catch(() => undefined);
  }
};

/**
 * A Postgres URL with another database, user or password. The URL must be of the form `postgresql://user@host...`; a
 * socket is written `postgresql://user@localhost/database?host=/folder`.
 */
export const urlFor = (
  base: string,
  change: { database?: string; user?: string; password?: string },
): string => {
  if (!URL.canParse(base) || new URL(base).host === '') {
    throw new PlatformError(
      'invalid',
      'A Postgres URL must look like postgresql://user:password@host:port/database.',
    );
  }
  const url = new URL(base);
  if (change.database !== undefined) url.pathname = `/${encodeURIComponent(change.database)}`;
  if (change.user !== undefined) url.username = encodeURIComponent(change.user);
  if (change.password !== undefined) url.password = encodeURIComponent(change.password);
  return url.href;
};
