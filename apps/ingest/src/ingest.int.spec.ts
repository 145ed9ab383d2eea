import { createHash } from 'node:crypto';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { connectNats } from '@gantry/bus/connect';
import { publishWatched, subscribeLive } from '@gantry/bus/live';
import { createObjectStore } from '@gantry/bus/objects';
import { ensureStreams } from '@gantry/bus/streams';
import type { LiveHint } from '@gantry/contracts/record';
import {
  CancelRecord,
  CloseRecord,
  ListHostSummaries,
  ListJobEvents,
  OpenRecord,
  ReadStdout,
} from '@gantry/contracts/record';
import { RedeemGrant } from '@gantry/contracts/credential';
import { PlatformError } from '@gantry/contracts/errors';
import { startService, type RunningService } from '@gantry/service/boot';
import { KIT, ServiceModule } from '@gantry/service/module';
import type { ServiceKit } from '@gantry/service/kit';
import type { BaseConfig } from '@gantry/service/config';
import {
  createTestCaller,
  createTestIssuer,
  testConfig,
  testPrincipal,
  type TestCaller,
  type TestIssuer,
} from '@gantry/service/testing';
import { eventually } from '@gantry/testkit/eventually';
import { freePort } from '@gantry/testkit/free-port';
import { startNats, type NatsServer } from '@gantry/testkit/nats';
import { freshDatabase, type FreshDatabase } from '@gantry/testkit/postgres';
import { Module, type Type } from '@nestjs/common';
import pg from 'pg';
import { v7 as newId } from 'uuid';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ingestModule } from './app.module.js';
import type { IngestConfig } from './config.js';
import { chainStart } from './record.commands.js';
import { keepForEver } from './retention.js';
import { createTestPod, type TestPod } from './testing/pod.js';
import { adminPool, finishOf as lastWordOf, payload, provisionIngest } from './testing/world.js';

const organizationId = newId();
const reader = testPrincipal({ organizations: { [organizationId]: ['read'] } });
const stranger = testPrincipal();

let database: FreshDatabase;
let nats: NatsServer;
let home: string;
let admin: pg.Pool;
let issuer: TestIssuer;
let config: IngestConfig;
let ingest: RunningService;
let vault: RunningService;
let launcher: TestCaller;
let gateway: TestCaller;
let project: { sha256: string; sizeBytes: number };
let inventory: { sha256: string; sizeBytes: number };
let port: number;

/** The vault as ingest knows it: one redemption per attempt and key. */
const vaultModule = (base: BaseConfig): Type => {
  const redeemed = new Map<string, string>();
  const bind = (kit: ServiceKit): null => {
    kit.handle(RedeemGrant, async ({ jobId, epoch, publicKey, proof }) => {
      const [grant, key] = [`${jobId}.${epoch}`, JSON.stringify(publicKey)];
      if (proof !== 'right')
        throw new PlatformError('forbidden', 'The proof is not right.', { details: { reason: 'bad_proof' } });
      if ((redeemed.get(grant) ?? key) !== key)
        throw new PlatformError('forbidden', 'Redeemed already.', {
          details: { reason: 'already_redeemed' },
        });
      redeemed.set(grant, key);
      return { jwe: 'sealed' };
    });
    return null;
  };
  class VaultModule {}
  // Not as a decorator: the compiler's settings leave specs out.
  Module({
    imports: [ServiceModule.forRoot(base)],
    providers: [{ provide: 'Vault', inject: [KIT], useFactory: bind }],
  })(VaultModule);
  return VaultModule;
};

beforeAll(async () => {
  port = await freePort();
  [database, nats, home] = await Promise.all([
    freshDatabase(),
    startNats(),
    mkdtemp(join(tmpdir(), 'gantry-ingest-')),
  ]);
  const urls = await provisionIngest(database, [
    { name: 'vault', password: 'test-vault', migrationsDir: null },
  ]);
  admin = adminPool(database, 4);
  issuer = await createTestIssuer();
  const setup = await connectNats({ url: nats.url, name: 'setup' });
  await ensureStreams(setup);
  const objects = createObjectStore(setup);
  [project, inventory] = [
    await objects.put(Buffer.from('a tar')),
    await objects.put(Buffer.from('{"_meta":{}}')),
  ];
  await setup.close();
  config = {
    base: testConfig({
      service: 'ingest',
      postgresUrl: urls['ingest']!,
      natsUrl: nats.url,
      keys: issuer.keys,
    }),
    podsHttp: { host: '127.0.0.1', port },
    podsSocket: join(home, 'run', 'pods.sock'),
    allowUnsafe: true,
    retention: keepForEver,
    sweepSeconds: 3_600,
  };
  ingest = await startService(ingestModule(config), config.base);
  const vaultConfig = testConfig({
    service: 'vault',
    postgresUrl: urls['vault']!,
    natsUrl: nats.url,
    keys: issuer.keys,
  });
  vault = await startService(vaultModule(vaultConfig), vaultConfig);
  launcher = await createTestCaller({ natsUrl: nats.url, service: 'launcher', issuer });
  gateway = await createTestCaller({ natsUrl: nats.url, service: 'gateway', issuer });
});

afterAll(async () => {
  await Promise.all([launcher?.close(), gateway?.close()]);
  await ingest?.stop();
  await vault?.stop();
  await admin?.end();
  await nats?.stop();
  await database?.drop();
  await rm(home, { recursive: true, force: true });
});

const open = async (jobId: string, epoch = 1): Promise<TestPod> => {
  const pod = createTestPod({ port }, jobId, epoch);
  await launcher.call(OpenRecord, {
    jobId,
    epoch,
    organizationId,
    bearerSha256: pod.bearerSha256,
    payload: { ...payload, project, inventory },
  });
  return pod;
};
const finishOf = (pod: TestPod, more: object = {}) => ({
  ...lastWordOf(pod),
  reason: null,
  artifacts: {},
  ...more,
});
const prints = (count: number, text = 'line'): object[] =>
  Array.from({ length: count }, (_, index) => ({ stdout: `${text} ${index}` }));
const milestones = async (jobId: string): Promise<string[]> =>
  (
    await admin.query<{ type: string }>(
      'select type from ingest.event_log where stream = $1 order by version',
      [`record-${jobId}`],
    )
  ).rows.map((row) => row.type);

/** What the database holds of a job, its chain followed from the start. */
const verify = async (jobId: string): Promise<{ count: number; head: string; bytes: string }> => {
  const { rows } = await admin.query<{
    first_counter: number;
    last_counter: number;
    previous_hash: Buffer;
    hash: Buffer;
    payload: Buffer;
  }>('select * from ingest.job_chunk where job_id = $1 order by first_counter', [jobId]);
  let [count, head, bytes] = [0, chainStart(jobId), ''];
  for (const row of rows) {
    expect(row.first_counter).toBe(count + 1);
    expect(row.previous_hash.toString('hex')).toBe(head);
    const raw = gunzipSync(row.payload);
    head = createHash('sha256').update(row.previous_hash).update(raw).digest('hex');
    expect(row.hash.toString('hex')).toBe(head);
    [count, bytes] = [row.last_counter, bytes + raw.toString()];
  }
  const record = await admin.query<{ last_counter: number; head: string }>(
    `select last_counter, encode(chain_head, 'hex') as head from ingest.job_record where job_id = $1`,
    [jobId],
  );
  expect(record.rows[0]).toEqual({ last_counter: count, head });
  return { count, head, bytes };
};

describe('a pod that starts', () => {
  it('gets its payload, its objects and its sealed credentials', async () => {
    const jobId = newId();
    const pod = await open(jobId);
    const request = { publicKey: { kty: 'EC' }, proof: 'right', agent: { version: '1', mode: 'direct' } };
    const { status, body } = await pod.call('start', request);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      expected: 1,
      head: chainStart(jobId),
      payload: { playbook: 'site.yml' },
      credentials: 'sealed',
      limits: { chunkEvents: 1_000 },
    });
    expect((await pod.call('start', request)).status).toBe(200);
    expect(await milestones(jobId)).toEqual(['record.opened', 'record.agent_started']);
    const object = await pod.call(`objects/${project.sha256}`, undefined, {}, 'GET');
    expect(object.bytes.toString()).toBe('a tar');
    expect((await pod.call(`objects/${'0'.repeat(64)}`, undefined, {}, 'GET')).status).toBe(404);
  });
  it("hears the vault's refusal in the vault's words", async () => {
    const pod = await open(newId());
    const refused = await pod.call('start', {
      publicKey: {},
      proof: 'wrong',
      agent: { version: '1', mode: 'direct' },
    });
    expect(refused).toMatchObject({
      status: 403,
      body: { code: 'forbidden', details: { reason: 'bad_proof' } },
    });
  });
});

describe('the door of the pods', () => {
  it('opens to nobody without the token of this job', async () => {
    const [job, other] = [newId(), newId()];
    const [pod, stranger] = [await open(job), await open(other)];
    const batch = pod.cut(prints(1));
    expect((await pod.send(batch, { Authorization: 'Bearer nonsense-nonsense-nonsense' })).status).toBe(401);
    expect((await pod.send(batch, { Authorization: `Bearer ${stranger.bearer}` })).status).toBe(401);
    expect((await pod.send(batch, { Authorization: '' })).status).toBe(401);
    const unknown = createTestPod({ port }, newId());
    expect(await unknown.call('heartbeat', {})).toMatchObject({
      status: 401,
      body: { code: 'unauthenticated', message: expect.stringContaining('does not open') },
    });
    expect((await verify(job)).count).toBe(0);
  });
  it('tells the pod of a replaced attempt to stop', async () => {
    const jobId = newId();
    const first = await open(jobId, 1);
    await first.send(first.cut(prints(3)));
    const second = await open(jobId, 2);
    await eventually(async () => (await first.call('heartbeat', {})).status === 403);
    expect(await first.send(first.cut(prints(1)))).toMatchObject({
      status: 403,
      body: { details: { reason: 'stale_epoch' } },
    });
    const started = await second.call('start', {
      publicKey: {},
      proof: 'right',
      agent: { version: '1', mode: 'direct' },
    });
    expect(started.body['expected']).toBe(4);
    expect((await verify(jobId)).count).toBe(3);
  });
  it('answers what is no call of the protocol with code and sentence', async () => {
    const pod = await open(newId());
    expect(await pod.call('nothing', {})).toMatchObject({ status: 404, body: { code: 'not_found' } });
    expect(await pod.call('finish', Buffer.from('{'))).toMatchObject({
      status: 400,
      body: { code: 'invalid', message: 'The body is not JSON.' },
    });
    expect(await pod.call('start', Buffer.alloc(100_000))).toMatchObject({
      status: 422,
      body: { details: { reason: 'too_large' } },
    });
    const raw = await new Promise<string>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => socket.write('NONSENSE\r\n\r\n'));
      socket.once('data', (bytes) => resolve(bytes.toString())).once('error', reject);
    });
    expect(raw).toContain('"code":"invalid"');
  });
  it('is a socket for every user of the host, too', async () => {
    const socketPath = config.podsSocket!;
    expect((await stat(socketPath)).mode & 0o777).toBe(0o666);
    const jobId = newId();
    const pod = createTestPod({ socketPath }, jobId);
    await launcher.call(OpenRecord, {
      jobId,
      epoch: 1,
      organizationId,
      bearerSha256: pod.bearerSha256,
      payload: { ...payload, project, inventory },
    });
    expect((await pod.send(pod.cut(prints(2)))).body).toEqual({
      committed: 2,
      cancel: false,
      flushMilliseconds: 400,
    });
  });
});

describe('a job record', () => {
  it('grows with sixteen jobs that send at once, each whole and in order', async () => {
    const jobs = Array.from({ length: 16 }, () => newId());
    await Promise.all(
      jobs.map(async (jobId) => {
        const pod = await open(jobId);
        for (let batch = 0; batch < 12; batch++)
          expect((await pod.send(pod.cut(prints(25)))).body['committed']).toBe((batch + 1) * 25);
        expect((await pod.call('finish', finishOf(pod))).body).toEqual({ sealed: true });
      }),
    );
    for (const jobId of jobs) expect((await verify(jobId)).count).toBe(300);
  });
  it('answers a repeated batch like the first time and stores it once', async () => {
    const jobId = newId();
    const pod = await open(jobId);
    const batch = pod.cut(prints(5));
    const answers = await Promise.all([pod.send(batch), pod.send(batch), pod.send(batch)]);
    expect(answers.map(({ status, body }) => [status, body['committed']])).toEqual([
      [200, 5],
      [200, 5],
      [200, 5],
    ]);
    expect((await verify(jobId)).count).toBe(5);
  });
  it('says which event it expects when some are missing', async () => {
    const jobId = newId();
    const pod = await open(jobId);
    const [first, second, third] = [pod.cut(prints(2)), pod.cut(prints(2)), pod.cut(prints(2))];
    await pod.send(first);
    expect(await pod.send(third)).toMatchObject({
      status: 409,
      body: { code: 'conflict', details: { expected: 3, head: first.hash } },
    });
    expect((await pod.send(second)).status).toBe(200);
    expect((await pod.send(third)).status).toBe(200);
    expect((await verify(jobId)).count).toBe(6);
  });
  it('takes what is cut anew without storing anything twice', async () => {
    const jobId = newId();
    const pod = await open(jobId);
    const twin = createTestPod({ port }, jobId);
    const same = prints(6, 'same');
    await pod.send(pod.cut(same.slice(0, 2)));
    await pod.send(pod.cut(same.slice(2, 4)));
    const authorization = { Authorization: `Bearer ${pod.bearer}` };
    expect(await twin.send(twin.cut(same.slice(0, 4)), authorization)).toMatchObject({
      status: 200,
      body: { committed: 4 },
    });
    const overlap = createTestPod({ port }, jobId);
    expect(await overlap.send(overlap.cut(same), authorization)).toMatchObject({
      status: 409,
      body: { details: { expected: 5, head: pod.head } },
    });
    expect((await verify(jobId)).count).toBe(4);
  });
  it('raises an alarm about other bytes and keeps what it has', async () => {
    const jobId = newId();
    const pod = await open(jobId);
    await pod.send(pod.cut(prints(4, 'true')));
    const liar = createTestPod({ port }, jobId);
    const authorization = { Authorization: `Bearer ${pod.bearer}` };
    for (const lie of [liar.cut(prints(4, 'lie')), createTestPod({ port }, jobId).cut(prints(3, 'lie'))]) {
      expect(await liar.send(lie, authorization)).toMatchObject({
        status: 409,
        body: { details: { reason: 'integrity' } },
      });
    }
    expect(await milestones(jobId)).toEqual([
      'record.opened',
      'record.integrity_alarm',
      'record.integrity_alarm',
    ]);
    expect((await verify(jobId)).bytes).not.toContain('lie');
  });
});

describe('a finished record', () => {
  it('is sealed only as the agent says it, and answers again', async () => {
    const jobId = newId();
    const pod = await open(jobId);
    await pod.send(pod.cut(prints(3)));
    expect(await pod.call('finish', finishOf(pod, { lastCounter: 4 }))).toMatchObject({
      status: 409,
      body: { details: { expected: 4, head: pod.head } },
    });
    expect((await pod.call('finish', finishOf(pod, { hash: '1'.repeat(64) }))).status).toBe(409);
    const finish = finishOf(pod, {
      status: 'failed',
      exitCode: 2,
      artifacts: { version: '1\u0000', nested: { a: [1] } },
    });
    expect((await pod.call('finish', finish)).body).toEqual({ sealed: true });
    expect((await pod.call('finish', finish)).body).toEqual({ sealed: true });
    expect((await pod.call('finish', { ...finish, status: 'successful' })).status).toBe(409);
    expect(await pod.send(pod.cut(prints(1)))).toMatchObject({
      status: 403,
      body: { details: { reason: 'closed' } },
    });
    expect(await milestones(jobId)).toEqual(['record.opened', 'record.sealed']);
    const { seal } = await launcher.call(CloseRecord, { jobId, epoch: 1, reason: null });
    expect(seal).toMatchObject({
      lastCounter: 3,
      status: 'failed',
      exitCode: 2,
      artifacts: { version: '1\ufffd', nested: { a: [1] } },
    });
    await eventually(async () => (await pod.call('heartbeat', {})).status === 403);
    expect(await pod.call('finish', finish)).toMatchObject({
      status: 403,
      body: { details: { reason: 'closed' } },
    });
  });
  it('without a word of the agent ends with the reason', async () => {
    const jobId = newId();
    const pod = await open(jobId);
    await pod.send(pod.cut(prints(2)));
    const reason = { code: 'pod_lost', message: 'The pod was killed: OOMKilled.' };
    const closed = await Promise.all([
      launcher.call(CloseRecord, { jobId, epoch: 1, reason }),
      launcher.call(CloseRecord, { jobId, epoch: 1, reason }),
    ]);
    for (const { seal } of closed)
      expect(seal).toMatchObject({ status: null, lastCounter: 2, sha256: pod.head, reason });
    expect(await milestones(jobId)).toEqual(['record.opened', 'record.sealed']);
    const page = await gateway.call(ListJobEvents, { jobId }, { principal: reader });
    expect(page.final).toEqual({ count: 2, sha256: pod.head, status: null });
    await expect(
      launcher.call(OpenRecord, {
        jobId,
        epoch: 2,
        organizationId,
        bearerSha256: pod.bearerSha256,
        payload: { ...payload, project, inventory },
      }),
    ).rejects.toMatchObject({ code: 'refused' });
  });
  it('hears of a cancellation in every answer before', async () => {
    const jobId = newId();
    const pod = await open(jobId);
    expect((await pod.call('heartbeat', {})).body).toEqual({
      committed: 0,
      cancel: false,
      flushMilliseconds: 400,
    });
    await launcher.call(CancelRecord, { jobId });
    await launcher.call(CancelRecord, { jobId });
    expect((await pod.call('heartbeat', {})).body).toMatchObject({ committed: 0, cancel: true });
    expect((await pod.send(pod.cut(prints(1)))).body).toMatchObject({ committed: 1, cancel: true });
  });
});

describe('a watcher', () => {
  it('reads through NATS what is allowed to be read', async () => {
    const jobId = newId();
    const pod = await open(jobId);
    await pod.send(pod.cut([...prints(2), result('a')]));
    const events = await gateway.call(ListJobEvents, { jobId }, { principal: reader });
    expect(events).toMatchObject({ lastCounter: 3, committedCounter: 3, final: null });
    const output = await gateway.call(ReadStdout, { jobId }, { principal: reader });
    expect(output).toEqual({ text: 'line 0\nline 1\n', startLine: 0, endLine: 2, totalLines: 2 });
    const hosts = await gateway.call(ListHostSummaries, { jobId }, { principal: reader });
    expect(hosts.items).toMatchObject([{ host: 'a', ok: 1 }]);
  });
  it('is woken after the commit', async () => {
    const jobId = newId();
    const pod = await open(jobId);
    const connection = await connectNats({ url: nats.url, name: 'watcher' });
    const hints: LiveHint[] = [];
    subscribeLive(connection, jobId, (hint) => hints.push(hint));
    await connection.flush();
    await pod.send(pod.cut(prints(5)));
    await eventually(() => hints.some(({ committedCounter }) => committedCounter === 5));
    await pod.call('finish', finishOf(pod));
    await eventually(() => hints.some(({ sealed }) => sealed));
    await connection.close();
  });
  it('has the pod send sooner', async () => {
    const jobId = newId();
    const pod = await open(jobId);
    const connection = await connectNats({ url: nats.url, name: 'watcher' });
    await eventually(async () => {
      publishWatched(connection, [newId(), jobId]);
      return JSON.stringify((await pod.call('heartbeat', {})).body).includes('80');
    });
    expect((await pod.send(pod.cut(prints(1)))).body).toMatchObject({ committed: 1, flushMilliseconds: 80 });
    await connection.close();
  });
  it('must be allowed to read in the organization', async () => {
    const jobId = newId();
    await open(jobId);
    for (const query of [ListJobEvents, ReadStdout, ListHostSummaries] as const) {
      await expect(gateway.call(query, { jobId }, { principal: stranger })).rejects.toMatchObject({
        code: 'forbidden',
      });
      await expect(gateway.call(query, { jobId: newId() }, { principal: reader })).rejects.toMatchObject({
        code: 'not_found',
      });
      await expect(gateway.call(query, { jobId })).rejects.toMatchObject({ code: 'unauthenticated' });
    }
  });
});

describe('ingest', () => {
  it('refuses a Postgres that may lose commits', async () => {
    const unsafe = {
      ...config,
      allowUnsafe: false,
      podsHttp: { host: '127.0.0.1', port: 0 },
      podsSocket: null,
    };
    await expect(startService(ingestModule(unsafe), unsafe.base)).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('fsync'),
    });
  });
  it('does not take the socket of a living one, nor a file', async () => {
    const file = join(home, 'file');
    await writeFile(file, '');
    for (const podsSocket of [config.podsSocket!, file]) {
      const second = { ...config, podsHttp: { host: '127.0.0.1', port: 0 }, podsSocket };
      await expect(startService(ingestModule(second), second.base)).rejects.toMatchObject({
        code: 'conflict',
      });
    }
  });
  it('may not rewrite its log nor make tables of its own', async () => {
    const own = new pg.Client({ connectionString: config.base.postgresUrl! });
    await own.connect();
    await expect(own.query(`update ingest.event_log set type = 'x'`)).rejects.toThrow();
    await expect(own.query('create table ingest.mine (a int)')).rejects.toThrow();
    await expect(own.query(`select ingest.make_partitions(date '1999-01-01', 3)`)).rejects.toThrow(
      /within a month/,
    );
    await own.end();
  });
  it('loses and doubles nothing when it dies between commit and answer, and starts again', async () => {
    const jobId = newId();
    const pod = await open(jobId);
    const batch = pod.cut(prints(9));
    const locked = await admin.connect();
    await locked.query('begin');
    await locked.query('select 1 from ingest.job_record where job_id = $1 for update', [jobId]);
    // The batch waits inside its transaction; its connection breaks off before it could answer.
    const lost = pod.send(batch, {}).catch(() => null);
    await eventually(
      async () =>
        (
          await admin.query<{ n: number }>(
            `select count(*)::int as n from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
          )
        ).rows[0]!.n > 0,
    );
    const { rows } = await locked.query<{ killed: boolean }>(
      `select pg_terminate_backend(pid) as killed from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
    );
    expect(rows.length).toBeGreaterThan(0);
    await locked.query('commit');
    locked.release();
    expect((await lost)?.status).toBe(503);
    const next = pod.cut(prints(1));
    expect((await pod.send(batch)).body).toEqual({ committed: 9, cancel: false, flushMilliseconds: 400 });
    const lateAnswer = pod.send(next);
    await eventually(async () => (await verify(jobId)).count === 10);
    await ingest.stop();
    await lateAnswer.catch(() => null);
    ingest = await startService(ingestModule(config), config.base);
    expect((await pod.send(next)).body).toEqual({ committed: 10, cancel: false, flushMilliseconds: 400 });
    expect((await pod.send(pod.cut([result('z')]))).body['committed']).toBe(11);
    expect((await verify(jobId)).count).toBe(11);
  });
});

const result = (host: string) => ({ event: 'runner_on_ok', event_data: { host, task_uuid: 't' } });
