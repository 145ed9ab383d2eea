/** A second process of a service beside the first: the same environment and credentials, other ports. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { PlatformError } from '@gantry/contracts/errors';
import { ROOT } from '../home.js';
import type { World } from './world.js';

/** A running second process. */
export interface Replica {
  /** host:port of its health, and of everything at the gateway. */
  http: string;
  /** host:port where pods call; of ingest. */
  pods: string;
  stop(): Promise<void>;
}

const READY_MILLISECONDS = 30_000;

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port: 0, host: '127.0.0.1' }, () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

/** What the first process was started with: as its operator would start a second one. */
const environmentOf = (pid: number): Record<string, string> =>
  Object.fromEntries(
    readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .filter((line) => line.includes('='))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );

/** Starts it, counts it as Gantry's (World.also), and waits until it is ready. Throws `unavailable` if it does not become so. */
export const startReplica = async (world: World, service: 'ingest' | 'gateway'): Promise<Replica> => {
  const [http, pods] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  const own = `GANTRY_${service.toUpperCase()}`;
  const log = openSync(join(world.home, 'log', `${service}-2.log`), 'a', 0o600);
  const child = spawn(
    process.execPath,
    ['--enable-source-maps', join(ROOT, 'apps', service, 'dist', 'main.js')],
    {
      env: {
        ...environmentOf(world.pid(service)),
        [`${own}_HTTP`]: http,
        ...(service === 'ingest' && { GANTRY_INGEST_PODS_HTTP: pods, GANTRY_INGEST_PODS_SOCKET: '' }),
      },
      stdio: ['ignore', log, log],
    },
  );
  closeSync(log);
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const force = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await gone;
    clearTimeout(force);
    world.also.delete(child.pid!);
  };
  world.also.add(child.pid!);
  const isReady = (): Promise<boolean> =>
    fetch(`http://${http}/readyz`, { signal: AbortSignal.timeout(1_000) }).then(
      (answer) => answer.ok,
      () => false,
    );
  for (const started = performance.now(); !(await isReady());) {
    if (child.exitCode !== null || performance.now() - started > READY_MILLISECONDS) {
      await stop();
      throw new PlatformError('unavailable', `A second ${service} did not start: see ${service}-2.log.`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { http, pods, stop };
};
