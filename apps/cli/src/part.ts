/**
 * A part of the embedded installation: one child process that is started, watched, started again when it dies, and stopped.
 *
 *   stopped --start()--> starting --ready--> running --exit--> restarting --(back-off)--> starting
 *      any --stop()--> stopping --exit--> stopped
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync, type WriteStream } from 'node:fs';
import { dirname } from 'node:path';
import { homePath } from './home.js';

/** How to run a part. */
export interface PartSpec {
  name: string;
  command: string;
  args: string[];
  env?: Record<string, string | undefined>;
  cwd?: string;
  uid?: number;
  gid?: number;
  /** How to ask it to end; SIGTERM when left out. */
  stopSignal?: NodeJS.Signals;
  /** Resolves once it serves; called again until it does. Rejects while it does not. */
  ready(): Promise<void>;
}

export type PartState = 'stopped' | 'starting' | 'running' | 'restarting' | 'stopping';

/** A supervised part. */
export interface Part {
  readonly name: string;
  readonly state: PartState;
  readonly pid: number | undefined;
  readonly restarts: number;
  /** Starts it and resolves once it is ready. Rejects with its last words when it keeps ending, or is not ready within a minute. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

const READY_MILLISECONDS = 60_000;
const STOP_MILLISECONDS = 20_000;
const LONGEST_BACKOFF = 5_000;
/** A part that has ended so often before it was ever ready does not get better by itself. */
const ENDS_AT_START = 3;

/** Supervises one process. `onChange` is called after every change of state. */
export const createPart = (spec: PartSpec, onChange: () => void): Part => {
  const logFile = homePath('log', `${spec.name}.log`);
  let state: PartState = 'stopped';
  let child: ChildProcess | undefined;
  let restarts = 0;
  /** Deaths in a row before it was ready. */
  let unready = 0;
  let log: WriteStream | undefined;
  let notReady = '';
  const become = (next: PartState) => {
    state = next;
    onChange();
  };

  const launch = () => {
    become('starting');
    mkdirSync(dirname(logFile), { recursive: true });
    log ??= createWriteStream(logFile, { flags: 'a', mode: 0o600 });
    child = spawn(spec.command, spec.args, {
      cwd: spec.cwd,
      env: { ...process.env, ...spec.env } as NodeJS.ProcessEnv,
      uid: spec.uid,
      gid: spec.gid,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout!.pipe(log, { end: false });
    child.stderr!.pipe(log, { end: false });
    child.once('error', (error) => log!.write(`${spec.command}: ${error.message}\n`));
    child.once('close', () => {
      child = undefined;
      if (state === 'stopping') return become('stopped');
      // One that was ready is started again at once; one that keeps dying before it is waits longer and longer.
      unready = state === 'running' ? 0 : unready + 1;
      become('restarting');
      const wait = Math.min(LONGEST_BACKOFF, 100 * 2 ** Math.min(unready, 6));
      restarts++;
      setTimeout(() => state === 'restarting' && launch(), wait);
    });
    void watchReady();
  };

  const watchReady = async () => {
    const mine = child;
    while (child === mine && state === 'starting') {
      try {
        await spec.ready();
        if (child === mine && state === 'starting') become('running');
      } catch (error) {
        notReady = (error as Error).message;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  };

  return {
    name: spec.name,
    get state() {
      return state;
    },
    get pid() {
      return child?.pid;
    },
    get restarts() {
      return restarts;
    },
    async start() {
      launch();
      const deadline = performance.now() + READY_MILLISECONDS;
      while (state !== 'running') {
        if (state === 'stopping' || state === 'stopped')
          throw new Error(`${spec.name} was stopped while it started`);
        if (restarts >= ENDS_AT_START)
          throw new Error(
            `${spec.name} ends while it starts:\n   ${lastWords(logFile)}\nAll of it: ${logFile}`,
          );
        if (performance.now() > deadline)
          throw new Error(
            `${spec.name} is not ready after ${READY_MILLISECONDS / 1000} s (${notReady}): see ${logFile}`,
          );
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    async stop() {
      if (!child) return become('stopped');
      become('stopping');
      const gone = new Promise<void>((resolve) => child!.once('close', () => resolve()));
      child.kill(spec.stopSignal ?? 'SIGTERM');
      const force = setTimeout(() => child?.kill('SIGKILL'), STOP_MILLISECONDS);
      await gone;
      clearTimeout(force);
    },
  };
};

/** Why a process ended, from its log: the message of what was fatal, or else its last lines. */
export const lastWords = (logFile: string): string => {
  const lines = readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-50);
  for (const line of lines.toReversed()) {
    const said = fatalMessage(line);
    if (said) return said;
  }
  return lines.slice(-5).join('\n   ');
};

const fatalMessage = (line: string): string | undefined => {
  try {
    const { level, msg, err } = JSON.parse(line) as { level: string; msg: string; err?: { message: string } };
    return level === 'fatal' ? [msg, err?.message].filter(Boolean).join(': ') : undefined;
  } catch {
    return undefined;
  }
};
