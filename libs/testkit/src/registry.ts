/** A real container registry for tests: docker-registry, with a password and TLS by an authority of the test's own. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashSync } from 'bcryptjs';
import { eventually } from './eventually.js';
import { logTail, startGuarded } from './guarded-process.js';
import { isProgram, placesOf } from './programs.js';
import { createTestCa, type TestCa } from './test-ca.js';

/** What a test may set. */
export interface RegistrySettings {
  /** Signs its certificate; one of its own when left out. */
  ca?: TestCa;
  /** Who may come; null: everybody. One user with a random password when left out. */
  login?: { username: string; password: string } | null;
}

/** A registry of a test's own. */
export interface TestRegistry {
  /** `127.0.0.1:<port>`: images are `${host}/name:tag`. */
  host: string;
  login: { username: string; password: string } | null;
  /** PEM, of the authority that signed its certificate. */
  caFile: string;
  /** For `podman --cert-dir`: holds ca.crt alone. */
  certsFolder: string;
  /** For `podman --authfile`: holds the login. */
  authFile: string;
  /** What it wrote: a line for each request among it. */
  log(): string;
  /** It goes away: connections are refused. What it holds is kept. */
  pause(): Promise<void>;
  /** It is back, on the same port. */
  resume(): Promise<void>;
  /** Ends it, and removes everything. */
  stop(): Promise<void>;
}

/**
 * Starts one on a loopback port, in a folder of its own; takes about 300 ms. The program is GANTRY_TEST_DOCKER_REGISTRY, else
 * the first docker-registry on the PATH or in `.gantry/bin`. Throws an Error that says what was looked for.
 */
export const startRegistry = async ({ ca, login }: RegistrySettings = {}): Promise<TestRegistry> => {
  const program = findDockerRegistry();
  const home = mkdtempSync(join(tmpdir(), 'gantry-test-registry-'));
  const inHome = (name: string): string => join(home, name);
  mkdirSync(inHome('certs'));
  mkdirSync(inHome('store'));
  const authority = ca ?? createTestCa(home);
  const tls = authority.issue(home);
  writeFileSync(inHome('certs/ca.crt'), readFileSync(authority.certificateFile));
  const who =
    login === undefined ? { username: 'robot', password: randomBytes(12).toString('base64url') } : login;
  if (who) writeFileSync(inHome('htpasswd'), `${who.username}:${hashSync(who.password, 4)}\n`);

  let port = 0;
  const start = async () => {
    const directory = mkdtempSync(join(home, 'run-'));
    // In the guarded folder while it runs, so that a killed test worker leaves nothing large behind.
    renameSync(inHome('store'), join(directory, 'store'));
    writeFileSync(
      join(directory, 'config.yml'),
      JSON.stringify({
        version: '0.1',
        log: { accesslog: { disabled: false } },
        storage: { filesystem: { rootdirectory: join(directory, 'store') }, delete: { enabled: true } },
        http: { addr: `127.0.0.1:${port}`, tls: { certificate: tls.certificateFile, key: tls.keyFile } },
        ...(who ? { auth: { htpasswd: { realm: 'test', path: inHome('htpasswd') } } } : {}),
      }),
    );
    const { stop } = startGuarded({
      command: [program, 'serve', join(directory, 'config.yml')],
      ownerPid: process.pid,
      directory,
      stopSignal: 'TERM',
    });
    const found = await eventually(
      () => {
        if (existsSync(join(directory, 'exited'))) return { port: null };
        const listening = /listening on 127\.0\.0\.1:(\d+)/.exec(readLog(directory))?.[1];
        return listening === undefined ? null : { port: Number(listening) };
      },
      { timeoutMs: 30_000, intervalMs: 10, what: 'docker-registry to listen' },
    ).catch(() => ({ port: null }));
    if (found.port === null) {
      const log = logTail(directory);
      await stop();
      throw new Error(`The tests' docker-registry (${program}) did not start:\n${log}`);
    }
    port = found.port;
    return { directory, stop };
  };

  let running: Awaited<ReturnType<typeof start>> | null;
  try {
    running = await start();
  } catch (error) {
    rmSync(home, { recursive: true, force: true });
    throw error;
  }
  const host = `127.0.0.1:${port}`;
  const auths = who ? { [host]: { auth: basic(who) } } : {};
  writeFileSync(inHome('auth.json'), JSON.stringify({ auths }));
  const earlier: string[] = [];
  const pause = async (): Promise<void> => {
    if (!running) return;
    const { directory, stop } = running;
    running = null;
    earlier.push(readLog(directory));
    renameSync(join(directory, 'store'), inHome('store'));
    await stop();
  };
  return {
    host,
    login: who,
    caFile: authority.certificateFile,
    certsFolder: inHome('certs'),
    authFile: inHome('auth.json'),
    log: () => [...earlier, running ? readLog(running.directory) : ''].join(''),
    pause,
    resume: async () => {
      running ??= await start();
    },
    stop: async () => {
      await running?.stop();
      running = null;
      rmSync(home, { recursive: true, force: true });
    },
  };
};

/** The program `startRegistry` uses. */
export const findDockerRegistry = (): string => {
  const given = process.env['GANTRY_TEST_DOCKER_REGISTRY'];
  const found = given ?? placesOf('docker-registry').find(isProgram);
  if (found) return found;
  throw new Error(
    "The tests need docker-registry (Debian's package of that name, or a build of distribution's registry), and none was found. " +
      'Set GANTRY_TEST_DOCKER_REGISTRY, or let ./gantry test fetch one.',
  );
};

const basic = ({ username, password }: { username: string; password: string }): string =>
  Buffer.from(`${username}:${password}`).toString('base64');

const readLog = (directory: string): string => {
  try {
    return readFileSync(join(directory, 'server.log'), 'utf8');
  } catch {
    return '';
  }
};
