import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { PlatformError } from '@gantry/contracts/errors';
import type { EventEnvelope, StoredEvent } from '@gantry/contracts/envelope';
import { eventSubject, OBJECT_BUCKET, streamNames } from '@gantry/contracts/subjects';
import { eventually } from '@gantry/testkit/eventually';
import { startNats, type NatsServer } from '@gantry/testkit/nats';
import { jetstreamManager } from '@nats-io/jetstream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectNats, type NatsConnection } from './connect.js';
import { consume, type ConsumeSettings } from './consume.js';
import { publishLive, subscribeEvents, subscribeLive } from './live.js';
import { createObjectStore } from './objects.js';
import { createPublisher } from './publish.js';
import { ensureStreams, newestIs } from './streams.js';

let server: NatsServer;
let nc: NatsConnection;

beforeAll(async () => {
  server = await startNats();
  nc = await connectNats({ url: server.url, name: 'bus-test' });
  await ensureStreams(nc);
});
afterAll(async () => {
  await nc?.close();
  await server?.stop();
});

const quiet = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

const storedEvent = (type: string, jobId: string, version = 1): StoredEvent => ({
  id: randomUUID(),
  type,
  version: 1,
  data: { jobId, epoch: version },
  stream: `${type.split('.')[0]}-${jobId}`,
  streamVersion: version,
  position: String(version),
  transactionId: '7',
  meta: { actor: { kind: 'system', id: 'test', name: 'test' }, correlationId: 'c-1' },
  at: '2026-11-23T00:00:00.000Z',
  hash: '00',
});

/** Runs a consumer until `stop`. */
const consuming = (
  settings: Pick<ConsumeSettings, 'purpose' | 'types' | 'handle'> & Partial<ConsumeSettings>,
): { stop(): Promise<void> } => {
  const abort = new AbortController();
  const done = consume({ nc, service: 'launcher', logger: quiet, signal: abort.signal, ...settings });
  return {
    stop: async () => {
      abort.abort();
      await done;
    },
  };
};

const waitingMessages = async (stream: string): Promise<number> => {
  const manager = await jetstreamManager(nc);
  return (await manager.streams.info(stream)).state.messages;
};

describe('the declared streams', () => {
  it('are made once and left alone afterwards', async () => {
    expect(Object.values(await ensureStreams(nc))).toEqual([
      'unchanged',
      'unchanged',
      'unchanged',
      'unchanged',
    ]);
  });

  it('are put right when somebody changed them', async () => {
    const manager = await jetstreamManager(nc);
    const { config } = await manager.streams.info(streamNames.deadLetters);
    await manager.streams.update(streamNames.deadLetters, { ...config, max_bytes: 1_000_000 });
    expect(await ensureStreams(nc)).toMatchObject({ [streamNames.deadLetters]: 'updated' });
    expect((await manager.streams.info(streamNames.deadLetters)).config.max_bytes).toBe(1024 ** 3);
  });
});

describe('a published event', () => {
  it('is kept once however often it is published', async () => {
    const before = await waitingMessages(streamNames.events);
    const publisher = createPublisher(nc, { window: 2 });
    const event = storedEvent('job.finished', randomUUID());
    await Promise.all([event, event, event, event].map((again) => publisher.publish(again)));
    expect(await waitingMessages(streamNames.events)).toBe(before + 1);
  });

  it('is seen live by whoever watches at the moment', async () => {
    const seen: EventEnvelope[] = [];
    const end = subscribeEvents(nc, ['job.*'], (envelope) => seen.push(envelope));
    await nc.flush();
    const event = storedEvent('job.finished', randomUUID());
    await createPublisher(nc).publish(event);
    await eventually(() => seen.some(({ id }) => id === event.id));
    end();
  });
});

describe('the newest event on a subject', () => {
  it('is known by its id, missed when it is gone, and not missed when it was before the stream', async () => {
    const [first, second] = [1, 2].map((version) => storedEvent('job.finished', 'newest', version));
    const subject = eventSubject('job.finished', first!.stream);
    await createPublisher(nc).publish(first!);
    const now = new Date();
    expect(await newestIs(nc, subject, first!.id, now)).toBe('yes');
    expect(await newestIs(nc, subject, second!.id, now)).toBe('no');
    const never = eventSubject('job.finished', 'job-never');
    expect(await newestIs(nc, never, second!.id, now)).toBe('no');
    expect(await newestIs(nc, never, second!.id, new Date(0))).toBe('aged');
  });
});

describe('a consumer', () => {
  it('takes effect exactly once although it fails and events are published twice', async () => {
    const jobs: string[] = Array.from({ length: 20 }, () => randomUUID());
    const effects = new Map<string, number>();
    const tried = new Set<string>();
    const consumer = consuming({
      purpose: 'effects',
      types: ['record.sealed'],
      handle: async (envelope) => {
        if (!jobs.includes((envelope.data as { jobId: string }).jobId)) return;
        if (!tried.has(envelope.id)) {
          tried.add(envelope.id);
          throw new PlatformError('unavailable', 'not now');
        }
        effects.set(envelope.id, (effects.get(envelope.id) ?? 0) + 1);
      },
    });
    const publisher = createPublisher(nc);
    const events = jobs.map((jobId) => storedEvent('record.sealed', jobId));
    await Promise.all([...events, ...events].map((event) => publisher.publish(event)));
    await eventually(() => effects.size === events.length, { timeoutMs: 30_000 });
    await consumer.stop();
    expect([...effects.values()].every((count) => count === 1)).toBe(true);
  });

  it('handles the events of one stream in order, and passes over types it did not ask for', async () => {
    const jobId = randomUUID();
    const seen: number[] = [];
    const consumer = consuming({
      purpose: 'order',
      types: ['record.agent_started'],
      handle: async (envelope) => {
        if (envelope.stream !== `record-${jobId}`) return;
        await new Promise((resolve) => setImmediate(resolve));
        seen.push(envelope.streamVersion);
      },
    });
    const publisher = createPublisher(nc);
    await publisher.publish(storedEvent('record.opened', jobId, 99));
    for (let version = 1; version <= 50; version++)
      await publisher.publish(storedEvent('record.agent_started', jobId, version));
    await eventually(() => seen.length >= 50);
    await consumer.stop();
    expect(seen).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
  });

  it('puts what it cannot accept into the dead letters, with the reason, and goes on', async () => {
    const [bad, good] = [randomUUID(), randomUUID()];
    const seen: string[] = [];
    const consumer = consuming({
      purpose: 'dead',
      types: ['record.integrity_alarm'],
      handle: async (envelope) => {
        const { jobId } = envelope.data as { jobId: string };
        if (jobId === bad) throw new PlatformError('not_found', 'no such job');
        seen.push(jobId);
      },
    });
    const publisher = createPublisher(nc);
    await publisher.publish(storedEvent('record.integrity_alarm', bad));
    await publisher.publish(storedEvent('record.integrity_alarm', good));
    const manager = await jetstreamManager(nc);
    const letter = await eventually(async () => {
      const message = await manager.streams
        .getMessage(streamNames.deadLetters, { last_by_subj: 'gantry.dlq.launcher' })
        .catch(() => null);
      return message?.json<EventEnvelope>().stream === `record-${bad}` ? message : null;
    });
    await eventually(() => seen.includes(good));
    await consumer.stop();
    expect(letter.header.get('Gantry-Dead-Reason')).toBe('not_found: no such job');
    expect(letter.header.get('Gantry-Dead-Consumer')).toBe('launcher-dead');
    const { num_ack_pending, num_pending } = await manager.consumers.info(
      streamNames.events,
      'launcher-dead',
    );
    expect([num_ack_pending, num_pending]).toEqual([0, 0]);
  });

  it('finishes what is under way before it ends', async () => {
    const jobId = randomUUID();
    let [entered, left] = [false, false];
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    const consumer = consuming({
      purpose: 'finish',
      types: ['grant.redeemed'],
      handle: async (envelope) => {
        if (envelope.stream !== `grant-${jobId}`) return;
        entered = true;
        await held;
        left = true;
      },
    });
    await createPublisher(nc).publish(storedEvent('grant.redeemed', jobId));
    await eventually(() => entered);
    const stopped = consumer.stop();
    expect(left).toBe(false);
    letGo();
    await stopped;
    expect(left).toBe(true);
  });
});

describe('a consumer whose server is restarted', () => {
  it('goes on by itself', async () => {
    const own = await startNats();
    const connection = await connectNats({ url: own.url, name: 'restart-test' });
    await ensureStreams(connection);
    const seen = new Set<string>();
    const abort = new AbortController();
    const done = consume({
      nc: connection,
      service: 'launcher',
      purpose: 'restart',
      types: ['record.opened'],
      logger: quiet,
      signal: abort.signal,
      handle: async (envelope) => void seen.add(envelope.id),
    });
    const first = storedEvent('record.opened', randomUUID());
    await createPublisher(connection).publish(first);
    await eventually(() => seen.has(first.id));
    await own.stop();
    // Its data went with it: streams and consumers must be made again as well.
    const successor = await startNats({ port: own.port });
    await eventually(async () => (await ensureStreams(connection)) && true, { timeoutMs: 20_000 });
    const second = storedEvent('record.opened', randomUUID());
    await createPublisher(connection).publish(second);
    await eventually(() => seen.has(second.id), { timeoutMs: 40_000 });
    abort.abort();
    await done;
    await connection.close();
    await successor.stop();
  });
});

describe('the object store', () => {
  const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

  it.each([0, 1, 128 * 1024, 3_000_001])('gives back %i bytes as they were stored', async (size) => {
    const store = createObjectStore(nc);
    const bytes = randomBytes(size);
    expect(await store.put(bytes)).toEqual({ sha256: sha256(bytes), sizeBytes: size });
    expect(await store.has(sha256(bytes))).toBe(true);
    expect((await buffer((await store.get(sha256(bytes)))!)).equals(bytes)).toBe(true);
  });

  it('stores a stream, and equal bytes once', async () => {
    const store = createObjectStore(nc);
    const bytes = randomBytes(400_000);
    const stored = await store.put(Readable.from([bytes.subarray(0, 150_000), bytes.subarray(150_000)]));
    expect(stored).toEqual({ sha256: sha256(bytes), sizeBytes: 400_000 });
    const before = await waitingMessages(`OBJ_${OBJECT_BUCKET}`);
    await store.put(bytes);
    expect(await waitingMessages(`OBJ_${OBJECT_BUCKET}`)).toBe(before);
  });

  it('says null for bytes it does not have', async () => {
    const store = createObjectStore(nc);
    expect(await store.get('0'.repeat(64))).toBeNull();
    expect(await store.has('0'.repeat(64))).toBe(false);
  });
});

describe('live hints', () => {
  it('reach the watchers of their job only', async () => {
    const [jobId, other] = [randomUUID(), randomUUID()];
    const [own, all]: [number[], string[]] = [[], []];
    const ends = [
      subscribeLive(nc, jobId, (hint) => own.push(hint.committedCounter)),
      subscribeLive(nc, '*', (hint) => all.push(hint.jobId)),
    ];
    await nc.flush();
    publishLive(nc, { jobId: other, committedCounter: 5, sealed: false });
    publishLive(nc, { jobId, committedCounter: 7, sealed: true });
    await eventually(() => all.length === 2);
    expect(own).toEqual([7]);
    ends.forEach((end) => end());
  });
});
