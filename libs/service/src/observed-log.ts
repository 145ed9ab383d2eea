/** Remembers what a command appended, so that its answer can wait until queries show it. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { StoredEvent } from '@gantry/contracts/envelope';
import { checkpointOf, compareCheckpoints, type Checkpoint } from '@gantry/eventlog/checkpoint';
import type { EventLog } from '@gantry/eventlog/log';

/** What was appended while some work ran. */
export interface Appended {
  /** The last event in the log's order, null when nothing was appended. */
  last: Checkpoint | null;
  types: Set<string>;
}

const current = new AsyncLocalStorage<Appended>();

/** Runs `work` and says what it appended through observed logs. */
export const observing = async <T>(work: () => Promise<T>): Promise<{ result: T; appended: Appended }> => {
  const appended: Appended = { last: null, types: new Set() };
  return { result: await current.run(appended, work), appended };
};

/** The same log, its appends noted. */
export const observedLog = (log: EventLog): EventLog => ({
  ...log,
  append: async (...args) => note(await log.append(...args)),
  appendIn: async (...args) => note(await log.appendIn(...args)),
});

const note = (stored: StoredEvent[]): StoredEvent[] => {
  const appended = current.getStore();
  for (const event of appended ? stored : []) {
    appended!.types.add(event.type);
    if (!appended!.last || compareCheckpoints(event, appended!.last) > 0)
      appended!.last = checkpointOf(event);
  }
  return stored;
};
