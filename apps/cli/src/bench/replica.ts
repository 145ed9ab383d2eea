/** A second process of a service beside the first: the same environment and credentials, other ports. */
import { spawn } from 'node:child_process';
import { createWriteStream, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
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

/** What the first process was started with: as its operator would start a second one. */
const environmentOf = (pid: number): Record<string, string> =>
  Object.fromEntries(
    readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .filter((line) => line.includes('='))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );

/** A line of a service's log, as far as a start is read from it. */
interface LogLine {
  msg?: string;
  http?: string;
  pods?: string;
  err?: { message?: string };
}

const parse = (line: string): LogLine => {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return { msg: line };
  }
};

/**
 * Starts it, counts it as Gantry's (World.also), and waits until it is ready. It chooses its ports itself and tells them
 * in its log: one looked for beforehand may be taken by then. Throws `unavailable` with its last words if it ends or is
 * not ready in 30 s.
 */
export const startReplica = async (world: World, service: 'ingest' | 'gateway'): Promise<Replica> => {
  const file = join(world.home, 'log', `${service}-2.log`);
  const child = spawn(
    process.execPath,
    ['--enable-source-maps', join(ROOT, 'apps', service, 'dist', 'main.js')],
    {
      env: {
        ...environmentOf(world.pid(service)),
        [`GANTRY_${service.toUpperCase()}_HTTP`]: '127.0.0.1:0',
        ...(service === 'ingest' && {
          GANTRY_INGEST_PODS_HTTP: '127.0.0.1:0',
          GANTRY_INGEST_PODS_SOCKET: '',
        }),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const log = createWriteStream(file, { flags: 'a', mode: 0o600 });
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const force = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await gone;
    clearTimeout(force);
    log.end();
    world.also.delete(child.pid!);
  };
  world.also.add(child.pid!);
  let last = 'it said nothing';
  const started = new Promise<Replica | null>((resolve) => {
    let pods = '';
    const hear = (line: string): void => {
      const said = parse(line);
      last = said.err?.message ?? said.msg ?? last;
      pods = said.pods ?? pods;
      if (said.msg === 'ready' && said.http) resolve({ http: said.http, pods, stop });
    };
    createInterface({ input: child.stdout }).on('line', hear);
    createInterface({ input: child.stderr }).on('line', hear);
    setTimeout(() => resolve(null), READY_MILLISECONDS).unref();
    void gone.then(() => resolve(null));
  });
  const replica = await started;
  if (replica) return replica;
  await stop();
  throw new PlatformError('unavailable', `A second ${service} did not start: ${last}. See ${file}.`);
};
