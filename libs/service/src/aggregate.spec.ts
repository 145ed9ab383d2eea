import { randomUUID } from 'node:crypto';
import { event, makeEvent, type EventOf, type NewEvent, type StoredEvent } from '@gantry/contracts/envelope';
import { PlatformError } from '@gantry/contracts/errors';
import type { EventLog } from '@gantry/eventlog/log';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { decideAndAppend } from './aggregate.js';

const Counted = event('counter.counted', 1, z.object({ by: z.number() }));
const catalogue = { Counted };
const meta = { actor: { kind: 'system' as const, id: 't', name: 't' }, correlationId: 'c' };

/** A log in memory on which `races` appends are lost to somebody else's event first. */
const logWith = (races: number): { log: EventLog; events: NewEvent[] } => {
  const events: NewEvent[] = [];
  const stored = (): StoredEvent[] =>
    events.map((one, index) => ({ ...one, stream: 's', streamVersion: index + 1 }) as StoredEvent);
  const log = {
    readStream: async () => stored(),
    append: async (stream: string, expected: number, added: NewEvent[]) => {
      if (races-- > 0) events.push(makeEvent(Counted, randomUUID(), { by: 100 }));
      if (events.length !== expected)
        throw new PlatformError('conflict', 'lost', { details: { stream, expected, actual: events.length } });
      events.push(...added);
      return stored().slice(expected);
    },
  };
  return { log: log as unknown as EventLog, events };
};

const count = (log: EventLog, by: number) =>
  decideAndAppend({
    log,
    stream: 's',
    initial: 0,
    catalogue,
    meta,
    evolve: (total: number, one: EventOf<typeof Counted>) => total + one.data.by,
    decide: (total) => (total >= 1_000 ? [] : [makeEvent(Counted, randomUUID(), { by })]),
  });

describe('a decision', () => {
  it('is made on the state its stream adds up to', async () => {
    const { log } = logWith(0);
    await count(log, 3);
    expect(await count(log, 4)).toMatchObject({ state: 7, version: 2, events: [{ streamVersion: 2 }] });
  });

  it('is made anew when somebody was faster, three times at most', async () => {
    expect(await count(logWith(3).log, 1)).toMatchObject({ state: 301, version: 4 });
    await expect(count(logWith(4).log, 1)).rejects.toMatchObject({ code: 'conflict' });
  });

  it('appends nothing when there is nothing to do', async () => {
    const { log, events } = logWith(0);
    await count(log, 1_000);
    expect(await count(log, 1)).toMatchObject({ state: 1_000, version: 1, events: [] });
    expect(events).toHaveLength(1);
  });
});
