/**
 * What every event log must do, as tests: run it against each implementation from a spec of its own.
 * The types say what is asked of a log without naming the library that provides it.
 */
import { randomUUID } from 'node:crypto';
import type { Meta, NewEvent, StoredEvent } from '@gantry/contracts/envelope';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from './eventually.js';

/** A place in a log. */
export interface PlaceInLog {
  readonly transactionId: string;
  readonly position: string;
}

/** The part of a log that the suite uses; see `EventLog` of `@gantry/eventlog/log`. */
export interface LogUnderTest {
  append(
    stream: string,
    expectedVersion: number,
    events: readonly NewEvent[],
    meta: Meta,
  ): Promise<StoredEvent[]>;
  readStream(stream: string, fromVersion?: number): Promise<StoredEvent[]>;
  readAll(after: PlaceInLog, limit: number): Promise<StoredEvent[]>;
  last(): Promise<PlaceInLog>;
  tail(
    after: PlaceInLog,
    options: { signal?: AbortSignal; pollMs?: number; limit?: number },
  ): AsyncIterable<StoredEvent[]>;
  verifyStream(stream: string): Promise<{ events: number; brokenAt: number | null }>;
}

/** A transaction in the hands of a test. */
export interface HeldTransaction {
  append(
    stream: string,
    expectedVersion: number,
    events: readonly NewEvent[],
    meta: Meta,
  ): Promise<StoredEvent[]>;
  commit(): Promise<void>;
  /** Rolls back what is not committed and gives the connection back; idempotent. */
  end(): Promise<void>;
}

/** One implementation, set up empty. */
export interface LogSubject {
  /** A log object; each call as good as one in another process. */
  open(): LogUnderTest;
  /** Begins a transaction that has its place in the order of transactions now, and stays open until told. */
  hold(): Promise<HeldTransaction>;
  /** Runs SQL as the service; `event_log` is on its search path. */
  asService(sql: string, params?: unknown[]): Promise<{ rows: Record<string, unknown>[] }>;
  /** Runs SQL as the owner of the tables. */
  asOwner(sql: string, params?: unknown[]): Promise<{ rows: Record<string, unknown>[] }>;
  dispose(): Promise<void>;
}

/** An event of no meaning. */
export const anEvent = (data: Record<string, unknown> = {}, id: string = randomUUID()): NewEvent => ({
  id,
  type: 'test.happened',
  version: 1,
  data,
});

/** Metadata of no meaning. */
export const someMeta: Meta = {
  actor: { kind: 'system', id: 'testkit', name: 'Testkit' },
  correlationId: 'test',
};

const start: PlaceInLog = { transactionId: '0', position: '0' };

/** The log's end once nothing of earlier tests can still come: elsewhere on the server a transaction may hold it back. */
const endOf = async (log: LogUnderTest): Promise<PlaceInLog> => {
  const [marker] = await log.append(aStream(), 0, [anEvent()], someMeta);
  return eventually(
    async () => {
      const last = await log.last();
      return last.position === marker!.position && last;
    },
    { what: 'the end of the log' },
  );
};

const held: HeldTransaction[] = [];
const hold = async (subject: LogSubject): Promise<HeldTransaction> => {
  const transaction = await subject.hold();
  held.push(transaction);
  return transaction;
};

const aStream = (): string => `test-${randomUUID()}`;

/** Registers the suite under `name`. `make` is called once, before its first test. */
export const eventLogContract = (name: string, make: () => Promise<LogSubject>): void => {
  describe(name, () => {
    let subject: LogSubject;
    beforeAll(async () => void (subject = await make()));
    afterEach(async () => {
      for (const transaction of held.splice(0)) await transaction.end();
    });
    afterAll(() => subject?.dispose());

    appending(() => subject);
    writersAtOnce(() => subject);
    reading(() => subject);
    appendOnly(() => subject);
    hashChain(() => subject);
  });
};

const appending = (subject: () => LogSubject): unknown =>
  describe('a stream', () => {
    it('begins at version 1 and counts on', async () => {
      const [log, stream] = [subject().open(), aStream()];
      const first = await log.append(stream, 0, [anEvent({ n: 1 }), anEvent({ n: 2 })], someMeta);
      const second = await log.append(stream, 2, [anEvent({ n: 3 })], someMeta);
      expect([...first, ...second].map(({ streamVersion }) => streamVersion)).toEqual([1, 2, 3]);
      expect(await log.readStream(stream)).toEqual([...first, ...second]);
      expect(await log.readStream(stream, 3)).toEqual(second);
    });

    it('refuses a wrong expected version and says which it is at', async () => {
      const [log, stream] = [subject().open(), aStream()];
      await expect(log.append(stream, 1, [anEvent()], someMeta)).rejects.toMatchObject({
        code: 'conflict',
        details: { expected: 1, actual: 0 },
      });
      await log.append(stream, 0, [anEvent()], someMeta);
      for (const expected of [0, 2]) {
        await expect(log.append(stream, expected, [anEvent()], someMeta)).rejects.toMatchObject({
          code: 'conflict',
          details: { stream, expected, actual: 1 },
        });
      }
      expect(await log.readStream(stream)).toHaveLength(1);
    });

    it('keeps all events of an append or none', async () => {
      const [log, stream] = [subject().open(), aStream()];
      const unstorable = anEvent({ text: 'a NUL: \0' });
      await expect(log.append(stream, 0, [anEvent(), unstorable], someMeta)).rejects.toMatchObject({
        code: 'invalid',
      });
      expect(await log.readStream(stream)).toEqual([]);
    });

    it('answers a repeated append with what is stored', async () => {
      const [log, stream, event] = [subject().open(), aStream(), anEvent()];
      const stored = await log.append(stream, 0, [event], someMeta);
      await log.append(stream, 1, [anEvent()], someMeta);
      expect(await log.append(stream, 0, [event], someMeta)).toEqual(stored);
      expect(await log.readStream(stream)).toHaveLength(2);
    });

    it('refuses an event id that another stream holds', async () => {
      const [log, event] = [subject().open(), anEvent()];
      await log.append(aStream(), 0, [event], someMeta);
      await expect(log.append(aStream(), 0, [event], someMeta)).rejects.toMatchObject({
        code: 'conflict',
        details: { reason: 'event_id' },
      });
    });
  });

const writersAtOnce = (subject: () => LogSubject): unknown =>
  describe('16 writers at once', () => {
    it('on one stream: each version has exactly one winner, every loser is told', async () => {
      const stream = aStream();
      const logs = Array.from({ length: 16 }, () => subject().open());
      for (let version = 0; version < 10; version += 1) {
        const results = await Promise.allSettled(
          logs.map((log, writer) => log.append(stream, version, [anEvent({ writer })], someMeta)),
        );
        const lost = results
          .filter((result) => result.status === 'rejected')
          .map((result) => result.reason as { code: string; details: unknown });
        expect(lost).toHaveLength(15);
        for (const reason of lost)
          expect(reason).toMatchObject({
            code: 'conflict',
            details: { stream, expected: version, actual: version + 1 },
          });
      }
      expect((await logs[0]!.readStream(stream)).map(({ streamVersion }) => streamVersion)).toEqual([
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
      ]);
      expect(await logs[0]!.verifyStream(stream)).toMatchObject({ events: 10, brokenAt: null });
    });

    it('on many streams: a tail sees every event once and in stream order, one committed late among them', async () => {
      const log = subject().open();
      const from = await endOf(log);
      const held = await hold(subject());
      await held.append(aStream(), 0, [anEvent({ held: true })], someMeta);
      const seen = collectTail(subject().open(), from);

      const streams = Array.from({ length: 16 }, aStream);
      await Promise.all(
        streams.map(async (stream) => {
          const writer = subject().open();
          for (let version = 0; version < 20; version += 1)
            await writer.append(stream, version, [anEvent({ version })], someMeta);
        }),
      );
      // All of these were committed after the held one drew its position: a reader by position alone would be past it.
      await held.commit();
      await eventually(() => seen.events.length >= 321, { what: '321 events in the tail' });
      // One more, to see that nothing comes twice behind them.
      const end = await log.append(aStream(), 0, [anEvent()], someMeta);
      await eventually(() => seen.events.some(({ id }) => id === end[0]!.id), {
        what: 'the last event in the tail',
      });
      await seen.stop();

      expect(seen.events).toHaveLength(322);
      expect(new Set(seen.events.map(({ id }) => id)).size).toBe(322);
      expect(seen.events.filter(({ data }) => (data as { held?: boolean }).held)).toHaveLength(1);
      for (const stream of streams) {
        const versions = seen.events
          .filter((event) => event.stream === stream)
          .map(({ streamVersion }) => streamVersion);
        expect(versions).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
      }
    });
  });

const reading = (subject: () => LogSubject): unknown =>
  describe('a reader of everything', () => {
    it('pages without gap or repetition, and a page is the same whenever it is read', async () => {
      const [log, stream] = [subject().open(), aStream()];
      const from = await endOf(log);
      const stored = await log.append(
        stream,
        0,
        Array.from({ length: 7 }, () => anEvent()),
        someMeta,
      );
      await eventually(async () => (await log.last()).position === stored[6]!.position);
      const pages: StoredEvent[] = [];
      for (let page = await log.readAll(from, 3); page.length > 0; page = await log.readAll(pages.at(-1)!, 3))
        pages.push(...page);
      expect(pages).toEqual(stored);
      expect(await log.readAll(start, 3)).toEqual(await log.readAll(start, 3));
    });

    it('never sees what a later commit could still precede', async () => {
      const log = subject().open();
      const from = await endOf(log);
      const held = await hold(subject());
      await held.append(aStream(), 0, [anEvent({ order: 'first' })], someMeta);
      await log.append(aStream(), 0, [anEvent({ order: 'second' })], someMeta);
      expect(await log.readAll(from, 10)).toEqual([]);
      await held.commit();
      const events = await eventually(async () => {
        const page = await log.readAll(from, 10);
        return page.length === 2 && page;
      });
      expect(events.map(({ data }) => data)).toEqual([{ order: 'first' }, { order: 'second' }]);
    });

    it('goes by transaction, so that one which began early and wrote late is not skipped', async () => {
      const log = subject().open();
      const from = await endOf(log);
      const held = await hold(subject());
      await log.append(aStream(), 0, [anEvent({ wrote: 'first' })], someMeta);
      await held.append(aStream(), 0, [anEvent({ wrote: 'second, in an older transaction' })], someMeta);
      await held.commit();
      await eventually(async () => (await log.readAll(from, 10)).length === 2);
      const [first] = await log.readAll(from, 1);
      const [second] = await log.readAll(first!, 1);
      expect(first!.data).toEqual({ wrote: 'second, in an older transaction' });
      expect(second!.data).toEqual({ wrote: 'first' });
      expect(await log.last()).toEqual({ transactionId: second!.transactionId, position: second!.position });
    });

    it('ends its tail when told to', async () => {
      const tail = collectTail(subject().open(), start);
      await tail.stop();
    });
  });

const appendOnly = (subject: () => LogSubject): unknown =>
  describe('what was appended', () => {
    const changes = ['update event_log set type = type', 'delete from event_log', 'truncate event_log'];

    it.each(changes)('the service has no right to: %s', async (sql) => {
      await expect(subject().asService(sql)).rejects.toMatchObject({
        code: '42501',
        message: expect.stringContaining('permission denied') as string,
      });
    });

    it.each(changes)('the trigger refuses to the owner: %s', async (sql) => {
      await expect(subject().asOwner(sql)).rejects.toMatchObject({
        message: expect.stringContaining('append-only') as string,
      });
    });

    it('the service cannot switch the trigger off', async () => {
      await expect(subject().asService('alter table event_log disable trigger all')).rejects.toMatchObject({
        code: '42501',
      });
    });
  });

const hashChain = (subject: () => LogSubject): unknown =>
  describe('the hash chain', () => {
    const hostile = {
      z: 1,
      a: { ключ: 'ünïcödé 🚀', b: [1.5, -0, 1e21, 5e-324, 0.1 + 0.2, 123456789012345680000] },
      '\u{1F600}': null,
      '\uFB33': true,
      empty: {},
      text: '"quotes" \\ \u0001 \n </script>',
      ['__proto__x']: [[]],
    };

    it('is whole after a read-back from columns that rewrite keys and numbers', async () => {
      const [log, stream] = [subject().open(), aStream()];
      await log.append(
        stream,
        0,
        [anEvent(hostile), anEvent({ gone: undefined, at: new Date(0) })],
        someMeta,
      );
      await log.append(stream, 2, [anEvent()], { ...someMeta, traceparent: '00-a-b-01', causationId: 'x' });
      expect(await log.verifyStream(stream)).toMatchObject({ events: 3, brokenAt: null });
    });

    const tamperings: [what: string, set: string][] = [
      ['one byte of a hash', 'hash = set_byte(hash, 31, get_byte(hash, 31) # 1)'],
      [
        'one byte of the hash before',
        'previous_hash = set_byte(previous_hash, 0, get_byte(previous_hash, 0) # 1)',
      ],
      ['the data', `data = jsonb_set(data, '{n}', '2000')`],
      ['the actor', `meta = jsonb_set(meta, '{actor,id}', '"somebody-else"')`],
      ['the time', `at = at + interval '1 millisecond'`],
      ['the type', `type = 'test.other'`],
    ];
    it.each(tamperings)('gives away a change of %s', async (_what, set) => {
      const [log, stream] = [subject().open(), aStream()];
      await log.append(
        stream,
        0,
        [1, 2, 3, 4].map((n) => anEvent({ n })),
        someMeta,
      );
      await tamper(subject(), `update event_log set ${set} where stream = $1 and version = 2`, stream);
      expect(await log.verifyStream(stream)).toMatchObject({ brokenAt: 2 });
    });

    it('gives away a removed event', async () => {
      const [log, stream] = [subject().open(), aStream()];
      await log.append(
        stream,
        0,
        [1, 2, 3].map((n) => anEvent({ n })),
        someMeta,
      );
      await tamper(subject(), 'delete from event_log where stream = $1 and version = 2', stream);
      expect(await log.verifyStream(stream)).toMatchObject({ brokenAt: 2 });
    });
  });

/** What somebody with the owner's rights would do: take the trigger away, change, put it back. */
const tamper = async (subject: LogSubject, sql: string, stream: string): Promise<void> => {
  await subject.asOwner('alter table event_log disable trigger event_log_append_only');
  await subject.asOwner(sql, [stream]);
  await subject.asOwner('alter table event_log enable always trigger event_log_append_only');
};

const collectTail = (
  log: LogUnderTest,
  from: PlaceInLog,
): { events: StoredEvent[]; stop: () => Promise<void> } => {
  const controller = new AbortController();
  const events: StoredEvent[] = [];
  const done = (async () => {
    for await (const batch of log.tail(from, { signal: controller.signal, pollMs: 20, limit: 50 }))
      events.push(...batch);
  })();
  return {
    events,
    stop: () => {
      controller.abort();
      return done;
    },
  };
};
