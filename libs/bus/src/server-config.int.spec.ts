import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { serviceNames } from '@gantry/contracts/command';
import type { StoredEvent } from '@gantry/contracts/envelope';
import { streamNames, WATCHED_SUBJECT } from '@gantry/contracts/subjects';
import { eventually } from '@gantry/testkit/eventually';
import { startNats, type NatsServer } from '@gantry/testkit/nats';
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { nkeys, type Msg } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectNats, type NatsConnection } from './connect.js';
import { consume } from './consume.js';
import { createObjectStore } from './objects.js';
import { publishJobEvents } from './job-events.js';
import { publishWatched, subscribeWatched } from './live.js';
import { createPublisher } from './publish.js';
import { natsAccounts, type NatsUser } from './server-config.js';
import { ensureStreams } from './streams.js';

const users: NatsUser[] = [...serviceNames, 'administrator', 'reader'];
let directory: string;
let server: NatsServer;
const connections = {} as Record<NatsUser, NatsConnection>;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'gantry-test-nkeys-'));
  const pairs = users.map((user) => [user, nkeys.createUser()] as const);
  server = await startNats({
    config: natsAccounts(Object.fromEntries(pairs.map(([user, pair]) => [user, pair.getPublicKey()]))),
  });
  for (const [user, pair] of pairs) {
    const seedFile = join(directory, user);
    writeFileSync(seedFile, pair.getSeed());
    connections[user] = await connectNats({ url: server.url, seedFile, name: user, service: user });
  }
  await ensureStreams(connections.administrator);
});
afterAll(async () => {
  await Promise.all(Object.values(connections).map((nc) => nc.close()));
  await server?.stop();
  rmSync(directory, { recursive: true, force: true });
});

const event = (type: string): StoredEvent => {
  const id = randomUUID();
  return {
    id,
    type,
    version: 1,
    data: {},
    stream: `${type.split('.')[0]}-${id}`,
    streamVersion: 1,
    position: '1',
    transactionId: '1',
    meta: { actor: { kind: 'system', id: 'test', name: 'test' }, correlationId: 'c' },
    at: '2026-11-23T00:00:00.000Z',
    hash: '',
  };
};

/** The error a subscription is answered with, or null when it stands. */
const subscriptionError = async (nc: NatsConnection, subject: string): Promise<Error | null> => {
  let failure: Error | null = null;
  const subscription = nc.subscribe(subject, { callback: (error) => void (failure ??= error) });
  await nc.flush();
  await nc.flush();
  subscription.unsubscribe();
  return failure;
};

const quiet = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

describe('a service on NATS', () => {
  it('logs in with its own key and with no other', async () => {
    const strangers = join(directory, 'stranger');
    writeFileSync(strangers, nkeys.createUser().getSeed());
    await expect(connectNats({ url: server.url, name: 'nobody' })).rejects.toMatchObject({
      code: 'unauthenticated',
    });
    await expect(connectNats({ url: server.url, name: 'nobody', seedFile: strangers })).rejects.toMatchObject(
      { code: 'unauthenticated' },
    );
  });

  it('finds the streams in order without being allowed to change them', async () => {
    for (const service of serviceNames) {
      expect(Object.values(await ensureStreams(connections[service]))).toEqual([
        'unchanged',
        'unchanged',
        'unchanged',
        'unchanged',
      ]);
    }
    const manager = await jetstreamManager(connections.launcher, { checkAPI: false });
    await expect(manager.streams.purge(streamNames.events)).rejects.toThrow(/permission/i);
    await expect(manager.streams.delete(streamNames.events)).rejects.toThrow(/permission/i);
  });

  it('publishes its own events and nobody else’s', async () => {
    await createPublisher(connections.ingest).publish(event('record.sealed'));
    await expect(createPublisher(connections.ingest).publish(event('job.finished'))).rejects.toMatchObject({
      code: 'forbidden',
    });
    await expect(createPublisher(connections.gateway).publish(event('job.finished'))).rejects.toMatchObject({
      code: 'forbidden',
    });
  });

  it('hears that a record has grown where it shows or publishes it, and nowhere else', async () => {
    for (const service of serviceNames) {
      const failure = await subscriptionError(connections[service], 'gantry.live.*');
      if (['gateway', 'ingest'].includes(service)) expect(failure).toBeNull();
      else expect(failure?.message).toMatch(/permission/i);
    }
  });

  it('tells and hears which jobs are watched where they are shown and taken, and nowhere else', async () => {
    for (const service of serviceNames) {
      const failure = await subscriptionError(connections[service], WATCHED_SUBJECT);
      if (service === 'ingest') expect(failure).toBeNull();
      else expect(failure?.message).toMatch(/permission/i);
    }
    const heard: string[] = [];
    const end = subscribeWatched(connections.ingest, (jobIds) => heard.push(...jobIds));
    await connections.ingest.flush();
    const [forged, told] = [randomUUID(), randomUUID()];
    publishWatched(connections.templates, [forged]);
    await connections.templates.flush();
    publishWatched(connections.gateway, [told]);
    await eventually(() => heard.length > 0);
    expect(heard).toEqual([told]);
    end();
  });

  it('lets another system read job events, and nothing else', async () => {
    const batch = {
      jobId: '0198f000-0000-7000-8000-000000000001',
      organizationId: '0198f000-0000-7000-8000-000000000002',
      firstCounter: 1,
      lastCounter: 1,
      firstLine: 0,
      lastLine: 1,
      rawLength: 14,
      previousHash: '0'.repeat(64),
      hash: '1'.repeat(64),
      payload: gzipSync('{"counter":1}\n'),
    };
    expect(await publishJobEvents(connections.ingest, batch)).toBe(1);
    // The same batch again: kept once.
    expect(await publishJobEvents(connections.ingest, batch)).toBe(1);
    await expect(publishJobEvents(connections.gateway, batch)).rejects.toMatchObject({ code: 'forbidden' });
    const manager = await jetstreamManager(connections.reader, { checkAPI: false });
    await manager.consumers.add(streamNames.jobEvents, {
      durable_name: 'elsewhere',
      ack_policy: AckPolicy.Explicit,
    });
    const consumer = await jetstream(connections.reader).consumers.get(streamNames.jobEvents, 'elsewhere');
    const message = (await consumer.next({ expires: 5_000 }))!;
    expect(message.headers!.get('Gantry-Job-Id')).toBe(batch.jobId);
    expect(Buffer.from(message.data)).toEqual(batch.payload);
    expect(await message.ackAck()).toBe(true);
    await expect(manager.streams.purge(streamNames.jobEvents)).rejects.toThrow(/permission/i);
    expect(await subscriptionError(connections.reader, 'gantry.>')).not.toBeNull();
    await expect(
      manager.consumers.add(streamNames.events, { durable_name: 'mine', ack_policy: AckPolicy.Explicit }),
    ).rejects.toThrow(/permission/i);
  });

  it('calls what it may, is answered, and is refused the rest', async () => {
    const answers = connections.vault.subscribe('gantry.cmd.vault.>', {
      queue: 'vault',
      callback: (_error, message: Msg) => void message.respond('yes'),
    });
    await connections.vault.flush();
    const reply = await connections.ingest.request('gantry.cmd.vault.grant.redeem', '{}', { timeout: 5_000 });
    expect(reply.string()).toBe('yes');
    await expect(
      connections.gateway.request('gantry.cmd.vault.grant.redeem', '{}', { timeout: 5_000 }),
    ).rejects.toThrow(/permission/i);
    await expect(
      connections.templates.request('gantry.cmd.vault.credential.pin', '{}', { timeout: 5_000 }),
    ).rejects.toThrow(/permission/i);
    answers.unsubscribe();
  });

  it('cannot listen to other services’ commands, replies and events', async () => {
    expect(await subscriptionError(connections.templates, 'gantry.cmd.templates.>')).toBeNull();
    expect(await subscriptionError(connections.templates, 'gantry.cmd.vault.>')).toMatchObject({
      message: expect.stringMatching(/permission/i),
    });
    expect(await subscriptionError(connections.templates, '_INBOX.>')).not.toBeNull();
    expect(await subscriptionError(connections.templates, '_INBOX.vault.>')).not.toBeNull();
    expect(await subscriptionError(connections.templates, 'gantry.evt.>')).not.toBeNull();
    expect(await subscriptionError(connections.templates, '>')).not.toBeNull();
  });

  it('consumes the events it is declared for, and cannot make a consumer for others', async () => {
    const seen: string[] = [];
    const abort = new AbortController();
    const done = consume({
      nc: connections.launcher,
      service: 'launcher',
      purpose: 'follow',
      types: ['record.sealed', 'record.opened', 'grant.redeemed'],
      logger: quiet,
      signal: abort.signal,
      handle: async (envelope) => void seen.push(envelope.id),
    });
    const [sealed, redeemed] = [event('record.sealed'), event('grant.redeemed')];
    await createPublisher(connections.ingest).publish(sealed);
    await createPublisher(connections.vault).publish(redeemed);
    await eventually(() => seen.includes(sealed.id) && seen.includes(redeemed.id));
    abort.abort();
    await done;
    const manager = await jetstreamManager(connections.launcher, { checkAPI: false });
    await expect(
      manager.consumers.add(streamNames.events, {
        durable_name: 'launcher-spy',
        filter_subject: 'gantry.evt.user.>',
      }),
    ).rejects.toThrow(/permission/i);
    await expect(manager.consumers.add(streamNames.events, { durable_name: 'launcher-all' })).rejects.toThrow(
      /permission/i,
    );
  });

  it('stores and reads objects as far as it may', async () => {
    const { sha256 } = await createObjectStore(connections.templates).put(Buffer.from('an archive'));
    for (const reader of ['templates', 'ingest', 'launcher'] as const) {
      expect((await buffer((await createObjectStore(connections[reader]).get(sha256))!)).toString()).toBe(
        'an archive',
      );
    }
    await expect(createObjectStore(connections.ingest).put(Buffer.from('forged'))).rejects.toMatchObject({
      code: 'forbidden',
    });
    await expect(createObjectStore(connections.gateway).get(sha256)).rejects.toMatchObject({
      code: 'forbidden',
    });
  });
});
