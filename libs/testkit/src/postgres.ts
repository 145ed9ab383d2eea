/**
 * A real Postgres for tests: one server per vitest run, shared by all its workers, and a database per test file.
 * The server is the npm package's, on a loopback port, without fsync. It ends with the run, however the run ends.
 * With GANTRY_TEST_POSTGRES_URL (a superuser's URL) that server is used instead and left running.
 */
import { randomBytes } from 'node:crypto';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { eventually } from './eventually.js';
import { freePort } from './free-port.js';
import { logTail, processBirth, startGuarded } from './guarded-process.js';
import { findPostgres, runAs, runProgram } from './postgres-binaries.js';

/** A database for one test file. */
export interface FreshDatabase {
  /** Name of the database. */
  name: string;
  /** Logs in as the database's owner, who is nothing else: no superuser, no other database. */
  url: string;
  /** Logs in to the same database as the server's superuser. */
  adminUrl: string;
  /** Begin role names with this (`provision({ rolePrefix })`): roles belong to the whole server, `drop` removes these. */
  rolePrefix: string;
  /** Removes the database, cutting off whoever is connected, and its roles. */
  drop(): Promise<void>;
}

/** A server of a test's own. */
export interface PostgresServer {
  /** Superuser, database `postgres`. */
  adminUrl: string;
  /** Ends it and removes its data. Not calling it leaks nothing beyond the owner's life. */
  stop(): Promise<void>;
}

/** An empty database on the run's shared server. Make it in `beforeAll`, `drop` it in `afterAll`. */
export const freshDatabase = async (): Promise<FreshDatabase> => freshDatabaseOn(await sharedServer());

/** The same on a server of your own, for tests that hold a transaction open, restart Postgres or kill it. */
export const freshDatabaseOn = async (serverUrl: string): Promise<FreshDatabase> => {
  const name = `test_${randomBytes(6).toString('hex')}`;
  const [owner, password] = [`${name}_owner`, randomBytes(12).toString('hex')];
  await asAdmin(serverUrl, async (admin) => {
    await admin.query(`create role ${owner} login password '${password}'`);
    await admin.query(`create database ${name} owner ${owner}`);
  });
  const adminUrl = new URL(serverUrl);
  adminUrl.pathname = `/${name}`;
  const url = new URL(adminUrl);
  [url.username, url.password] = [owner, password];
  return {
    name,
    url: url.href,
    adminUrl: adminUrl.href,
    rolePrefix: `${name}_`,
    drop: () =>
      asAdmin(serverUrl, async (admin) => {
        await admin.query(`drop database if exists ${name} with (force)`);
        const { rows } = await admin.query<{ rolname: string }>(
          `select rolname from pg_roles where starts_with(rolname, $1)`,
          [`${name}_`],
        );
        for (const { rolname } of rows) await admin.query(`drop role ${pg.escapeIdentifier(rolname)}`);
      }),
  };
};

/** Starts a server that lives as long as this worker at most. Takes about a second. */
export const startPostgres = async (): Promise<PostgresServer> => {
  const directory = mkdtempSync(join(tmpdir(), 'gantry-test-postgres-'));
  return launch(directory, process.pid);
};

/** The run's server: whichever worker is first starts it, the others wait for it. */
const sharedServer = async (): Promise<string> => {
  const given = process.env['GANTRY_TEST_POSTGRES_URL'];
  if (given) return given;
  // Vitest's workers are children of the run's process; in its thread pool they are the process itself.
  const runPid = process.send ? process.ppid : process.pid;
  const directory = join(tmpdir(), `gantry-test-postgres-${runPid}-${processBirth(runPid)}`);
  const ready = join(directory, 'ready');
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const failed = join(directory, 'failed');
    return eventually(
      () => {
        if (existsSync(ready)) return { url: readFileSync(ready, 'utf8') };
        if (existsSync(failed)) return { url: null, reason: readFileSync(failed, 'utf8') };
        return null;
      },
      {
        timeoutMs: 90_000,
        intervalMs: 50,
        what: `the run's Postgres, being started by another worker in ${directory}`,
      },
    ).then(({ url, reason }) => {
      if (url === null) throw new Error(reason);
      return url;
    });
  }
  try {
    const { adminUrl } = await launch(directory, runPid);
    writeWhole(ready, adminUrl);
    return adminUrl;
  } catch (error) {
    if (existsSync(directory)) writeWhole(join(directory, 'failed'), String(error));
    throw error;
  }
};

const writeWhole = (file: string, text: string): void => {
  writeFileSync(`${file}.new`, text, { mode: 0o600 });
  renameSync(`${file}.new`, file);
};

/** Makes a cluster in an empty folder and starts it; the folder goes with it. */
const launch = async (directory: string, ownerPid: number): Promise<PostgresServer> => {
  if (runAs) chownSync(directory, runAs.uid, runAs.gid);
  const binaries = await findPostgres(directory);
  const data = join(directory, 'data');
  const password = randomBytes(12).toString('hex');
  const passwordFile = join(directory, 'password');
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (runAs) chownSync(passwordFile, runAs.uid, runAs.gid);
  await runProgram(
    binaries.initdb,
    [
      '-D',
      data,
      '-U',
      'postgres',
      '--auth=scram-sha-256',
      `--pwfile=${passwordFile}`,
      '-E',
      'UTF8',
      '--locale=C',
      '--no-sync',
    ],
    directory,
  );
  rmSync(passwordFile);

  const port = await freePort();
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '200',
    shared_buffers: '64MB',
    fsync: 'off',
    full_page_writes: 'off',
    timezone: 'UTC',
  };
  const flags = Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
  const command = [binaries.postgres, '-D', data, '-p', String(port), ...flags];
  const { stop } = startGuarded({ command, ownerPid, directory, stopSignal: 'INT', runAs });
  const adminUrl = `postgresql://postgres:${password}@127.0.0.1:${port}/postgres`;
  try {
    await eventually(
      async () => {
        if (existsSync(join(directory, 'exited'))) return 'exited';
        return asAdmin(adminUrl, async () => 'ready');
      },
      { timeoutMs: 60_000, intervalMs: 30, what: 'Postgres to answer' },
    ).then((state) => {
      if (state === 'exited') throw new Error('Postgres ended at once.');
    });
  } catch (error) {
    const reason = `The tests' Postgres did not start: ${String(error)}\n${logTail(directory)}`;
    await stop();
    throw new Error(reason, { cause: error });
  }
  return { adminUrl, stop };
};

const asAdmin = async <T>(url: string, work: (admin: pg.Client) => Promise<T>): Promise<T> => {
  const admin = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  admin.on('error', () => undefined);
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.end();
  }
};
