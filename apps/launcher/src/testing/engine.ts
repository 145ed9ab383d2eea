/** A real container engine for tests: the one GANTRY_TEST_CONTAINER_HOST names, else podman with an API service of the test's own. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { vi } from 'vitest';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const privateConfig = join(process.env['GANTRY_HOME'] ?? join(root, '.gantry'), 'containers.conf');
/** The environment of `podman` on this machine. */
export const engineEnvironment = {
  ...process.env,
  ...(existsSync(privateConfig) && !process.env['CONTAINERS_CONF'] ? { CONTAINERS_CONF: privateConfig } : {}),
};

// An API service that a broken run leaves behind ends by itself after a minute without calls.
const findImage = (): string | undefined => {
  try {
    const listed = execFileSync('podman', ['images', '--format', '{{.Repository}}:{{.Tag}}'], {
      env: engineEnvironment,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return listed
      .toString()
      .split('\n')
      .find((image) => /(^|\/)gantry-ee:/.test(image));
  } catch {
    return undefined;
  }
};

/** The Execution Environment of this machine; undefined if it has not been set up. */
export const eeImage = process.env['GANTRY_TEST_EE_IMAGE'] ?? findImage();

/** An engine that answers. */
export interface TestEngine {
  host: string;
  /** Ends the API service and starts it anew, as a restart of the engine would. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts it, or takes the one that is named (which cannot be restarted). `more`: for the service's environment. */
export const startEngine = async (more: NodeJS.ProcessEnv = {}): Promise<TestEngine> => {
  const named = process.env['GANTRY_TEST_CONTAINER_HOST'];
  if (named) return { host: named, restart: async () => undefined, stop: async () => undefined };
  const folder = mkdtempSync(join(tmpdir(), 'gantry-engine-'));
  const socket = join(folder, 'engine.sock');
  let service: ChildProcess;
  const start = async (): Promise<void> => {
    service = spawn('podman', ['system', 'service', '--time=60', `unix://${socket}`], {
      env: { ...engineEnvironment, ...more },
      // Its container monitors leave marks in the folder they are started in.
      cwd: folder,
      stdio: 'ignore',
    });
    await vi.waitFor(
      async () => {
        if (!(await answers(socket))) throw new Error('the engine does not answer');
      },
      { timeout: 30_000 },
    );
  };
  const end = (): Promise<void> =>
    new Promise((resolve) => {
      service.once('exit', () => resolve());
      // Asked politely it waits for calls that never end, such as ours for the end of a pod.
      service.kill('SIGKILL');
    });
  await start();
  return {
    host: `unix://${socket}`,
    restart: async () => {
      await end();
      rmSync(socket, { force: true });
      await start();
    },
    stop: async () => {
      await end();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};

const answers = (socketPath: string): Promise<boolean> =>
  new Promise((resolve) => {
    const call = request({ socketPath, path: '/_ping', timeout: 2_000 }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve(false));
    call.end();
  });
