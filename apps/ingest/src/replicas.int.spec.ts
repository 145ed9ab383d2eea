/** Two ingest processes on one database: agents that change between them with every call, and one killed in the middle. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { connectNats } from '@gantry/bus/connect';
import { ensureStreams } from '@gantry/bus/streams';
import { OpenRecord } from '@gantry/contracts/record';
import { headers, streamNames } from '@gantry/contracts/subjects';
import { createTestCaller, type TestCaller } from '@gantry/service/testing';
import { eventually } from '@gantry/testkit/eventually';
import { startNats, type NatsServer } from '@gantry/testkit/nats';
import { freshDatabase, type FreshDatabase } from '@gantry/testkit/postgres';
import { DeliverPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type pg from 'pg';
import { v7 as newId } from 'uuid';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chainStart } from './record.commands.js';
import { createTestPod, type PodReply, type TestBatch, type TestPod } from './testing/pod.js';
import { adminPool, payload, provisionIngest } from './testing/world.js';

const HOSTS = 5;

interface Replica {
  /** Where pods call; another port after each start. */
  pods: number;
  process: ChildProcess | null;
}

interface Agent {
  jobId: string;
  pod: TestPod;
  target: { port: number };
  calls: number;
}

let database: FreshDatabase;
let nats: NatsServer;
let connection: NatsConnection;
let admin: pg.Pool;
let postgresUrl: string;
let launcher: TestCaller;
let replicas: Replica[];

/** The program as it is shipped (built before the tests run), on ports of its own choosing, which its log tells: one looked for beforehand may be taken by the time it is used. */
const start = async (replica: Replica): Promise<void> => {
  const child = spawn(process.execPath, [fileURLToPath(new URL('../dist/main.js', import.meta.url))], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      GANTRY_INGEST_POSTGRES_URL: postgresUrl,
      GANTRY_NATS_URL: nats.url,
      GANTRY_INGEST_HTTP: '127.0.0.1:0',
      GANTRY_INGEST_PODS_HTTP: '127.0.0.1:0',
      GANTRY_INGEST_ALLOW_UNSAFE: '1',
    },
  });
  replica.process = child;
  const port = (address: string): number => Number(address.split(':').at(-1));
  let last = '';
  let http = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    last = line;
    const said = JSON.parse(line) as { msg: string; http?: string; pods?: string };
    if (said.pods) replica.pods = port(said.pods);
    if (said.msg === 'ready') http = port(said.http!);
    if (http) break;
  }
  if (!http) throw new Error(`A replica ended while it started: ${last}`);
  child.stdout.resume();
  await eventually(() => fetch(`http://127.0.0.1:${http}/readyz`).then(({ ok }) => ok), {
    timeoutMs: 40_000,
    what: 'a replica to be ready',
  });
};

const kill = async (replica: Replica, signal: NodeJS.Signals): Promise<void> => {
  const { process: child } = replica;
  replica.process = null;
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await gone;
};

beforeAll(async () => {
  [database, nats] = await Promise.all([freshDatabase(), startNats()]);
  const urls = await provisionIngest(database);
  postgresUrl = urls['ingest']!;
  admin = adminPool(database, 4);
  connection = await connectNats({ url: nats.url, name: 'test' });
  await ensureStreams(connection);
  replicas = [0, 1].map(() => ({ pods: 0, process: null }));
  launcher = await createTestCaller({ natsUrl: nats.url, service: 'launcher' });
  await Promise.all(replicas.map(start));
});

afterAll(async () => {
  await Promise.all(replicas.map((replica) => kill(replica, 'SIGKILL')));
  await launcher.close();
  await connection.close();
  await admin.end();
  await nats.stop();
  await database.drop();
});

const openAgent = async (): Promise<Agent> => {
  const jobId = newId();
  const target = { port: replicas[0]!.pods };
  const pod = createTestPod(target, jobId);
  await launcher.call(OpenRecord, {
    jobId,
    epoch: 1,
    organizationId: newId(),
    bearerSha256: pod.bearerSha256,
    payload,
  });
  return { jobId, pod, target, calls: 0 };
};

/** Calls the replicas in turn until one of them answers for good. */
const insist = async (agent: Agent, call: () => Promise<PodReply>): Promise<PodReply> => {
  for (;;) {
    agent.target.port = replicas[agent.calls++ % 2]!.pods;
    const reply = await call().catch(() => null);
    if (reply && reply.status < 500 && reply.status !== 429) return reply;
    await pause(20);
  }
};

const send = async (agent: Agent, batch: TestBatch): Promise<void> => {
  const reply = await insist(agent, () => agent.pod.send(batch));
  expect(reply).toMatchObject({ status: 200, body: { committed: batch.lastCounter } });
};

const result = (number: number) => ({
  event: 'runner_on_ok',
  stdout: `ok: ${number}`,
  event_data: {
    host: `host-${number % HOSTS}`,
    task_uuid: `task-${Math.floor(number / 40)}`,
    task: `Task ${Math.floor(number / 40)}`,
    duration: 0.1,
  },
});

const print = async (agent: Agent, batches: number, first: number): Promise<void> => {
  for (let index = first; index < first + batches; index++)
    await send(agent, agent.pod.cut(Array.from({ length: 10 }, (_, at) => result(index * 10 + at))));
};

/** The record by its chunks: unbroken from the first event to the last, and its hash. */
const chainOf = async (jobId: string): Promise<{ count: number; head: string }> => {
  const { rows } = await admin.query<{ first: number; last: number; payload: Buffer; hash: Buffer }>(
    `select first_counter as first, last_counter as last, payload, hash from ingest.job_chunk where job_id = $1 order by first_counter`,
    [jobId],
  );
  let [count, head] = [0, chainStart(jobId)];
  for (const row of rows) {
    expect(row.first).toBe(count + 1);
    count = row.last;
    head = createHash('sha256')
      .update(Buffer.from(head, 'hex'))
      .update(gunzipSync(row.payload))
      .digest('hex');
    expect(row.hash.toString('hex')).toBe(head);
  }
  return { count, head };
};

const rowsOf = async (text: string, jobId: string) =>
  (await admin.query<Record<string, number>>(text, [jobId])).rows;

/** What the stream has of each job: bodies as text by first counter, and whether any came twice. */
const published = async (): Promise<{ messages: number; texts: Map<string, Map<number, string>> }> => {
  const manager = await jetstreamManager(connection);
  const { state } = await manager.streams.info(streamNames.jobEvents);
  const texts = new Map<string, Map<number, string>>();
  if (state.messages === 0) return { messages: 0, texts };
  const consumer = await jetstream(connection).consumers.get(streamNames.jobEvents, {
    deliver_policy: DeliverPolicy.All,
  });
  const messages = await consumer.fetch({ max_messages: state.messages, expires: 2_000 });
  for await (const message of messages) {
    const of = texts.get(message.headers!.get(headers.jobId)) ?? new Map<number, string>();
    of.set(Number(message.headers!.get(headers.firstCounter)), gunzipSync(message.data).toString());
    texts.set(message.headers!.get(headers.jobId), of);
  }
  return { messages: state.messages, texts };
};

/** The counters of a job's published events, in order. */
const counters = (texts: Map<number, string> | undefined): number[] =>
  [...(texts ?? [])]
    .sort(([a], [b]) => a - b)
    .flatMap(([, text]) => text.trim().split('\n'))
    .map((line) => (JSON.parse(line) as { counter: number }).counter);

const oneTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

describe('two replicas', () => {
  let agents: Agent[];
  it('keep every event once, whichever is called, though one is killed again and again', async () => {
    agents = await Promise.all(Array.from({ length: 6 }, openAgent));
    const printing = Promise.all(agents.map((agent) => print(agent, 60, 0)));
    for (const replica of [replicas[0]!, replicas[1]!]) {
      const before = (await Promise.all(agents.map(({ jobId }) => chainOf(jobId)))).reduce(
        (sum, { count }) => sum + count,
        0,
      );
      // Not by the clock: only while it takes events.
      await eventually(async () => {
        const counted = await admin.query<{ n: number }>(
          `select sum(last_counter)::int as n from ingest.job_record`,
        );
        return counted.rows[0]!.n > before + 100;
      });
      await kill(replica, 'SIGKILL');
      await start(replica);
    }
    await printing;
    await Promise.all(agents.map((agent) => print(agent, 10, 60)));
    for (const agent of agents) {
      const { jobId, pod } = agent;
      expect(await chainOf(jobId)).toEqual({ count: 700, head: pod.head });
      const index = await rowsOf(
        `select count(*)::int as rows, count(distinct counter)::int as counters, count(distinct host_id)::int as hosts,
           count(distinct task_id)::int as tasks from ingest.job_event_index join ingest.job_record on number = job_number where job_id = $1`,
        jobId,
      );
      expect(index).toEqual([{ rows: 700, counters: 700, hosts: HOSTS, tasks: 18 }]);
      const summaries = await rowsOf(
        `select ok from ingest.host_summary join ingest.job_record on number = job_number where job_id = $1`,
        jobId,
      );
      expect(summaries).toEqual(Array.from({ length: HOSTS }, () => ({ ok: 140 })));
      const sealed = await insist(agent, () =>
        pod.call('finish', {
          lastCounter: pod.counter,
          lastLine: pod.line,
          hash: pod.head,
          status: 'successful',
          exitCode: 0,
        }),
      );
      expect(sealed.body).toEqual({ sealed: true });
    }
  });
  it('publish what is committed for other systems, from whichever leads', async () => {
    const found = await eventually(
      async () => {
        const now = await published();
        return agents.every(({ jobId }) => counters(now.texts.get(jobId)).at(-1) === 700) ? now : null;
      },
      { timeoutMs: 45_000, what: 'all events on the stream' },
    );
    for (const { jobId } of agents) expect(counters(found.texts.get(jobId))).toEqual(oneTo(700));
    // Published again after a death, but kept once.
    expect(found.messages).toBe(6 * 70);
  });
  it('publish it all again when the stream was lost', async () => {
    const manager = await jetstreamManager(connection);
    await manager.streams.delete(streamNames.jobEvents);
    await ensureStreams(connection);
    // The next start asks; so does a reconnect, and each half minute whoever publishes.
    for (const replica of replicas) {
      await kill(replica, 'SIGTERM');
      await start(replica);
    }
    const found = await eventually(
      async () => {
        const now = await published();
        return now.messages >= 6 * 70 ? now : null;
      },
      { timeoutMs: 45_000, what: 'all events on the new stream' },
    );
    for (const { jobId } of agents) expect(counters(found.texts.get(jobId))).toEqual(oneTo(700));
  });
});
