/** The load generator as its parent sees it. */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { PlatformError } from '@gantry/contracts/errors';
import type { LoadDone, LoadOrder, LoadPlan, LoadWord } from './load.js';
import type { World } from './world.js';

/** A load that is prepared and waits. */
export interface Load {
  /** Sends it all; resolves after the last answer. Rejects with `refused` when ingest takes something not. */
  go(): Promise<LoadDone>;
  /** Seals every record: ingest compares count and hash. */
  finish(): Promise<void>;
  stop(): void;
}

/** As an agent cuts them when there is much to send: of these events, 800 are just under limits.chunkBytes (docs/PROTOCOL.md). */
export const BATCH_EVENTS = 800;
/** Hosts of a job's playbook. */
export const HOSTS = 10;

/** Starts a script of this folder with IPC. */
export const forkScript = (name: string): ChildProcess =>
  fork(fileURLToPath(new URL(name, import.meta.url)), [], {
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });

/** Waits for a child's word of one kind. Rejects if it says it failed, or ends. */
export const wordOf = <W extends { kind: string }, K extends W['kind']>(
  child: ChildProcess,
  kind: K,
): Promise<Extract<W, { kind: K }>> =>
  new Promise((resolve, reject) => {
    const fail = (message: string): void => {
      child.off('message', onWord).off('exit', onExit);
      reject(new PlatformError('refused', `The bench's load did not go through: ${message}`));
    };
    const onExit = (): void => fail('its process ended.');
    const onWord = (word: W & { message?: string }): void => {
      if (word.kind === 'failed') return fail(word.message ?? '');
      if (word.kind !== kind) return;
      child.off('message', onWord).off('exit', onExit);
      resolve(word as never);
    };
    child.on('message', onWord).on('exit', onExit);
  });

/** What differs from load to load; the rest is as usual. */
export type LoadSettings = Pick<LoadPlan, 'jobs' | 'eventsPerJob'> & Partial<LoadPlan>;

/** Starts a load generator against a world and lets it prepare. Unless said otherwise everything is sent as fast as it is taken. */
export const startLoad = async ({ pods }: Pick<World, 'pods'>, settings: LoadSettings): Promise<Load> => {
  const plan: LoadPlan = {
    targets: [pods],
    batchEvents: BATCH_EVENTS,
    hosts: HOSTS,
    eventsPerSecond: null,
    ...settings,
  };
  const child = forkScript('./load.js');
  const say = (order: LoadOrder): void => void child.send(order);
  const ready = wordOf<LoadWord, 'ready'>(child, 'ready');
  say({ kind: 'plan', plan });
  await ready.catch((error: unknown) => {
    child.kill('SIGKILL');
    throw error;
  });
  return {
    go: async () => {
      const done = wordOf<LoadWord, 'done'>(child, 'done');
      say({ kind: 'go' });
      return (await done).done;
    },
    finish: async () => {
      const finished = wordOf<LoadWord, 'finished'>(child, 'finished');
      say({ kind: 'finish' });
      await finished;
    },
    stop: () => void child.kill('SIGKILL'),
  };
};
