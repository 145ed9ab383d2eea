/** The watchers as their parent sees them. */
import { forkScript, wordOf } from './load.process.js';
import type { Watched, WatchOrder, WatchPlan, WatchWord } from './watch.js';

/** Watchers that have subscribed. */
export interface Watchers {
  /** Waits for the rest (at most so long) and says what they saw. `printed` as in LoadDone. */
  collect(eventsPerJob: number, printed: Float64Array, patienceMilliseconds: number): Promise<Watched>;
  stop(): void;
}

/** Starts them; resolves once all have subscribed. */
export const startWatchers = async (plan: WatchPlan): Promise<Watchers> => {
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
