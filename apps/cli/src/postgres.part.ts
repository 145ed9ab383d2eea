/** The embedded Postgres: on loopback, with a password for everybody, durable. */
import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pg from 'pg';
import type { Machine } from './home.js';
import type { PartSpec } from './part.js';

const ADMIN = 'gantry_admin';

/** URL of the embedded server's administrator. */
export const embeddedPostgresUrl = (port: number, password: string): string =>
  `postgres://${ADMIN}:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres`;

/** The server as a part; makes its data folder on the first start. */
export const postgresPart = (
  found: NonNullable<Machine['postgres']>,
  port: number,
  password: string,
): PartSpec => {
  const owner = found.uid === null ? {} : { uid: found.uid, gid: found.gid! };
  initialise(found, owner, password);
  stopOrphan(found.dataDir);
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    shared_buffers: '128MB',
    max_connections: '200',
    max_wal_size: '2GB',
    log_line_prefix: '%m [%p] %q%u@%d ',
  };
  return {
    name: 'postgres',
    command: join(found.binDir, 'postgres'),
    args: [
      '-D',
      found.dataDir,
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    ...owner,
    cwd: found.dataDir,
    stopSignal: 'SIGINT', // fast shutdown: does not wait for clients
    ready: async () => {
      const client = new pg.Client({
        connectionString: embeddedPostgresUrl(port, password),
        connectionTimeoutMillis: 1_000,
      });
      client.on('error', () => undefined);
      await client.connect();
      await client.end();
    },
  };
};

const initialise = (
  found: NonNullable<Machine['postgres']>,
  owner: { uid?: number; gid?: number },
  password: string,
): void => {
  if (existsSync(join(found.dataDir, 'PG_VERSION'))) return;
  rmSync(found.dataDir, { recursive: true, force: true });
  mkdirSync(dirname(found.dataDir), { recursive: true });
  mkdirSync(found.dataDir, { mode: 0o700 });
  if (owner.uid !== undefined) chownSync(found.dataDir, owner.uid, owner.gid!);
  const passwordFile = join(tmpdir(), `gantry-initdb-${process.pid}`);
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (owner.uid !== undefined) chownSync(passwordFile, owner.uid, owner.gid!);
  try {
    const flags = [
      '-D',
      found.dataDir,
      '-U',
      ADMIN,
      '-A',
      'scram-sha-256',
      `--pwfile=${passwordFile}`,
      '--encoding=UTF8',
      '--locale=C',
      '--no-sync',
    ];
    execFileSync(join(found.binDir, 'initdb'), flags, {
      ...owner,
      cwd: '/',
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  } finally {
    rmSync(passwordFile, { force: true });
  }
};

/** A server whose supervisor was killed still holds the data: it is asked to end, and waited for. */
const stopOrphan = (dataDir: string): void => {
  const pidFile = join(dataDir, 'postmaster.pid');
  if (!existsSync(pidFile)) return;
  const pid = Number(readFileSync(pidFile, 'utf8').split('\n')[0]);
  const isOurs = () =>
    existsSync(`/proc/${pid}/cmdline`) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(dataDir);
  if (!isOurs()) return rmSync(pidFile, { force: true });
  process.kill(pid, 'SIGINT');
  for (let waited = 0; waited < 200 && isOurs(); waited++)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
};
