/** The watchers as their parent sees them. */
import { forkScript, wordOf } from './load.process.js';
import type { Watched, WatchOrder, WatchPlan, WatchWord } from './watch.js';
import type { World } from './world.js';

/** Watchers that have subscribed. */
export interface Watchers {
  /** Waits for the rest (at most so long) and says what they saw. `printed` as in LoadDone. */
  collect(eventsPerJob: number, printed: Float64Array, patienceMilliseconds: number): Promise<Watched>;
  stop(): void;
}

/** Starts them; resolves once all have subscribed. */
export const startWatchers = async (
  { endpoint }: Pick<World, 'endpoint'>,
  settings: Pick<WatchPlan, 'jobIds' | 'watchers'> & Partial<WatchPlan>,
): Promise<Watchers> => {
  const plan: WatchPlan = {
    urls: [endpoint.url.replace(/^http/, 'ws')],
    token: endpoint.token,
    stalled: false,
    ...settings,
  };
  const child = forkScript('./watch.js');
  const say = (order: WatchOrder): void => void child.send(order);
  const ready = wordOf<WatchWord, 'ready'>(child, 'ready');
  say({ kind: 'plan', plan });
  await ready.catch((error: unknown) => {
    child.kill('SIGKILL');
    throw error;
  });
  return {
    collect: async (eventsPerJob, printed, patienceMilliseconds) => {
      const watched = wordOf<WatchWord, 'watched'>(child, 'watched');
      say({ kind: 'collect', eventsPerJob, printed, patienceMilliseconds });
      return (await watched).watched;
    },
    stop: () => void child.kill('SIGKILL'),
  };
};
