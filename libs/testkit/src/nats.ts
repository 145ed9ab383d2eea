/** A real nats-server with JetStream for tests; it ends with its worker, however that ends. */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from './eventually.js';
import { logTail, startGuarded } from './guarded-process.js';
import { isProgram, placesOf } from './programs.js';

/** What a test may set. */
export interface NatsSettings {
  /** More lines for the server's configuration file: `authorization`, `accounts`... */
  config?: string;
  /** Port to listen on, to start a stopped server's successor; a free one when left out. */
  port?: number;
  /** A copy of a server's `storeDir`, to begin with what it held; nothing when left out. */
  store?: string;
}

/** A server of a test's own. */
export interface NatsServer {
  /** `nats://127.0.0.1:<port>`, without credentials. */
  url: string;
  port: number;
  /** The folder of JetStream's files. */
  storeDir: string;
  /** Ends it and removes what it stored. */
  stop(): Promise<void>;
}

const run = promisify(execFile);
const oldestVersion = [2, 10] as const;

/**
 * Starts nats-server with JetStream in a folder of its own, on a loopback port. Takes about 50 ms.
 * The program is GANTRY_TEST_NATS_SERVER, else the first nats-server of 2.10 or newer on the PATH, else
 * `.gantry/bin/nats-server` in this folder or one above it. Throws an Error that says what was looked for.
 */
export const startNats = async ({
  config = '',
  port = -1,
  store,
}: NatsSettings = {}): Promise<NatsServer> => {
  const program = await findNatsServer();
  const directory = mkdtempSync(join(tmpdir(), 'gantry-test-nats-'));
  const file = join(directory, 'nats.conf');
  const storeDir = join(directory, 'jetstream');
  if (store) cpSync(store, storeDir, { recursive: true });
  writeFileSync(
    file,
    `listen: "127.0.0.1:${port}"
server_name: gantry-test
ports_file_dir: "${directory}"
jetstream { store_dir: "${storeDir}" }
${config}
`,
  );
  const { stop } = startGuarded({
    command: [program, '-c', file],
    ownerPid: process.pid,
    directory,
    stopSignal: 'TERM',
  });
  const state = await eventually(
    () => {
      if (existsSync(join(directory, 'exited'))) return { url: null };
      const url = readPorts(directory);
      return url === null ? null : { url };
    },
    { timeoutMs: 30_000, intervalMs: 10, what: 'nats-server to listen' },
  ).catch((error: unknown) => ({ url: null, error }));
  if (state.url === null) {
    const log = logTail(directory);
    await stop();
    throw new Error(`The tests' nats-server (${program}) did not start:\n${log}`);
  }
  return { url: state.url, port: Number(new URL(state.url).port), storeDir, stop };
};

/** The server writes this file when it listens: `{"nats":["nats://127.0.0.1:38911"], ...}`. */
const readPorts = (directory: string): string | null => {
  const file = readdirSync(directory).find((name) => name.endsWith('.ports'));
  if (!file) return null;
  try {
    return (JSON.parse(readFileSync(join(directory, file), 'utf8')) as { nats?: string[] }).nats?.[0] ?? null;
  } catch {
    return null; // half written
  }
};

/** The program `startNats` uses. */
export const findNatsServer = async (): Promise<string> => {
  const given = process.env['GANTRY_TEST_NATS_SERVER'];
  if (given) return given;
  const seen: string[] = [];
  for (const program of placesOf('nats-server')) {
    const version = await versionOf(program);
    if (version === null) continue;
    if (isRecent(version)) return program;
    seen.push(`${program} is ${version}`);
  }
  const found = seen.length === 0 ? 'none was found' : seen.join(', ');
  throw new Error(
    `The tests need nats-server ${oldestVersion.join('.')} or newer: ${found}. Set GANTRY_TEST_NATS_SERVER, or let ./gantry up fetch one.`,
  );
};

const versionOf = async (program: string): Promise<string | null> => {
  if (!isProgram(program)) return null;
  try {
    const { stdout, stderr } = await run(program, ['--version']);
    return /v?(\d+\.\d+\.\d+)/.exec(stdout + stderr)?.[1] ?? null;
  } catch {
    return null;
  }
};

const isRecent = (version: string): boolean => {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > oldestVersion[0] || (major === oldestVersion[0] && minor >= oldestVersion[1]);
};
