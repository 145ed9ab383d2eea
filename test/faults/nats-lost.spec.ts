/**
 * F7, F8: NATS killed (test/e2e/restarts has that alone), and back with nothing, or with what it had a while ago (as after
 * a power cut that took unsynced writes); or hanging. NATS carries, Postgres keeps: the record is whole, every event of
 * every log is on the stream again, and while it is not an alarm says so.
 */
import { cpSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { serviceNames } from '@gantry/contracts/command';
import { streamNames } from '@gantry/contracts/subjects';
import { eventually } from '@gantry/testkit/eventually';
import { DeliverPolicy, jetstream } from '@nats-io/jetstream';
import { connect, nkeyAuthenticator } from '@nats-io/transport-node';
import { afterEach, describe, expect, it } from 'vitest';
import { containersOf, launch, over, world } from '../e2e/api.js';
import { openPod } from './launcher.js';
import { expectWhole, toldBy, toldOf } from './oracle.js';
import { healed, pidOf, portOf, readiness, secret, signal, sql } from './parts.js';
import { print } from './pod.js';
import { watch } from './watcher.js';

const store = join(world.home, 'nats', 'store');
const lost = join(world.home, 'nats', 'store-lost');
const old = join(world.home, 'nats', 'store-old');

const killNats = async (): Promise<void> => {
  const pid = pidOf('nats');
  signal('nats');
  await eventually(() => pidOf('nats') !== null && pidOf('nats') !== pid, { what: 'another nats-server' });
};

/** Ids of all messages on the events stream. */
const published = async (): Promise<Set<string>> => {
  const connection = await connect({
    servers: `127.0.0.1:${portOf('nats')}`,
    inboxPrefix: '_INBOX.administrator',
    authenticator: nkeyAuthenticator(new TextEncoder().encode(secret('nats-administrator.nk'))),
  });
  try {
    const ids = new Set<string>();
    const consumer = await jetstream(connection).consumers.get(streamNames.events, {
      deliver_policy: DeliverPolicy.All,
    });
    let { num_pending: left } = await consumer.info();
    while (left > 0) {
      for await (const message of await consumer.fetch({
        max_messages: Math.min(left, 500),
        expires: 2_000,
      })) {
        ids.add(message.headers!.get('Nats-Msg-Id'));
        left--;
      }
    }
    return ids;
  } finally {
    await connection.close();
  }
};

/** Ids of all events in the logs. */
const logged = async (): Promise<string[]> => {
  const services = serviceNames.filter((name) => name !== 'gateway');
  const rows = await sql<{ id: string }>(
    services.map((name) => `select id::text from ${name}.event_log`).join(' union all '),
  );
  return rows.map(({ id }) => id);
};

const untilAllPublished = (): Promise<unknown> =>
  eventually(
    async () => {
      const there = await published();
      const missing = (await logged()).filter((id) => !there.has(id));
      if (missing.length > 0) throw new Error(`${missing.length} events are not on the stream`);
      return true;
    },
    { timeoutMs: 30_000, intervalMs: 500, what: 'every event of every log on the stream' },
  );

describe.each<[string, { before?: () => void; strike: () => void }]>([
  ['killed, and back with an empty store', { strike: () => renameSync(store, lost) }],
  [
    'killed, and back with an older copy of its store',
    {
      before: () => {
        // Stopped while it is copied: a moment in which nothing moves.
        signal('nats', 'SIGSTOP');
        cpSync(store, old, { recursive: true });
        signal('nats', 'SIGCONT');
      },
      strike: () => {
        renameSync(store, lost);
        renameSync(old, store);
      },
    },
  ],
])('a NATS that is %s', (_name, { before, strike }) => {
  it('has lost nothing that matters', async () => {
    rmSync(lost, { recursive: true, force: true });
    rmSync(old, { recursive: true, force: true });
    before?.();
    const pod = await openPod();
    const watcher = watch(pod.jobId);
    const slow = await launch('Demo Slow', { extraVars: { seconds: 5 } });
    const slowWatcher = watch(slow);
    await eventually(() => slowWatcher.seen.counters.length > 2, {
      timeoutMs: 60_000,
      what: 'a running job',
    });
    const printing = print(pod, { perSecond: 1_000, seconds: 4 });
    await eventually(() => pod.committed > 500, { what: 'load' });
    strike();
    await killNats();
    const after = await launchAgain();
    await printing;
    await pod.finish();
    // What the pods say goes past NATS: it was never away for them.
    expect([...pod.answers.keys()]).toEqual([200]);
    for (const [id, seen] of [
      [slow, slowWatcher],
      [after, watch(after)],
    ] as const) {
      const job = await over(id);
      expect(job.status, job.reason?.message).toBe('SUCCESSFUL');
      await expectWhole(toldOf(job), await seen.done);
      expect(containersOf(id)).toEqual([]);
    }
    await expectWhole(toldBy(pod), await watcher.done);
    await untilAllPublished();
    await healed();
  });
});

describe('a NATS that hangs', () => {
  afterEach(() => void signal('nats', 'SIGCONT'));

  it('is told by an alarm of those whose events are late, and holds up no pod', async () => {
    const [pod, ending] = await Promise.all([openPod(), openPod()]);
    const over = new AbortController();
    const printing = print(pod, { perSecond: 200, seconds: 60, signal: over.signal });
    await eventually(() => pod.committed > 100, { what: 'load' });
    signal('nats', 'SIGSTOP');
    // An event of ingest's own log, besides what pods print.
    await ending.finish();
    const late = await eventually(
      async () => {
        const said = await readiness('ingest');
        return said && ['relay', 'job-events'].every((name) => said.checks[name] !== 'ok') ? said : null;
      },
      { timeoutMs: 30_000, what: 'both alarms' },
    );
    expect(late).toMatchObject({
      degraded: true,
      checks: {
        relay: expect.stringMatching(/events of the log are not on the NATS stream GANTRY_EVT.* after \d+ s/),
        'job-events': expect.stringMatching(
          /was printed is not on the NATS stream GANTRY_JOBEVENTS after \d+ s/,
        ),
      },
    });
    const committed = pod.committed;
    await eventually(() => pod.committed > committed, { what: 'events taken without NATS' });
    signal('nats', 'SIGCONT');
    over.abort();
    await printing;
    await pod.finish();
    expect([...pod.answers.keys()]).toEqual([200]);
    await healed();
    await untilAllPublished();
    const log = readFileSync(join(world.home, 'log', 'ingest.log'), 'utf8');
    for (const follower of ['relay', 'job-events'])
      expect(log).toMatch(new RegExp(`"level":"warn".*"follower":"${follower}"`));
    await expectWhole(toldBy(pod), await watch(pod.jobId).done);
    await expectWhole(toldBy(ending));
  });
});

/** Launches as a person does who tries again while NATS is away. */
const launchAgain = (): Promise<string> =>
  eventually(() => launch('Demo Job Template').catch(() => null), {
    timeoutMs: 30_000,
    intervalMs: 250,
    what: 'a launch to be taken',
  });
