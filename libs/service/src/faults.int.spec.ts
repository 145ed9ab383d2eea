import { randomUUID } from 'node:crypto';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connectNats } from '@gantry/bus/connect';
import { ensureStreams } from '@gantry/bus/streams';
import { makeEvent, parseEvent } from '@gantry/contracts/envelope';
import { PlatformError } from '@gantry/contracts/errors';
import { CreateOrganization, GetKeys, OrganizationCreated, identityEvents } from '@gantry/contracts/identity';
import { streamNames } from '@gantry/contracts/subjects';
import { provision } from '@gantry/eventlog/migrate';
import { eventually } from '@gantry/testkit/eventually';
import { startNats, type NatsServer } from '@gantry/testkit/nats';
import { freshDatabase, type FreshDatabase } from '@gantry/testkit/postgres';
import { jetstreamManager } from '@nats-io/jetstream';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startService, type RunningService } from './boot.js';
import { KIT, type ServiceKit } from './kit.js';
import { ServiceModule } from './module.js';
import { createTestCaller, createTestIssuer, testConfig, testPrincipal, type TestCaller } from './testing.js';

let database: FreshDatabase;
let server: NatsServer;
let service: RunningService;
let gateway: TestCaller;
let answerBytes = 0;
const principal = testPrincipal({ superuser: true });

const bind = (kit: ServiceKit): void => {
  kit.project({
    name: 'organization',
    tables: ['organization'],
    apply: async (stored, sql) => {
      const event = parseEvent(identityEvents, stored);
      if (event?.type !== 'organization.created') return;
      if (event.data.name === 'poison') throw new PlatformError('defect', 'cannot apply this');
      await sql.query('insert into identity.organization (id, name, created_at) values ($1, $2, $3)', [
        event.data.organizationId,
        event.data.name,
        stored.at,
      ]);
    },
  });
  kit.handle(CreateOrganization, async ({ name }, context) => {
    const id = randomUUID();
    await kit.log!.append(
      `organization-${id}`,
      0,
      [makeEvent(OrganizationCreated, randomUUID(), { organizationId: id, name, description: '' })],
      context.meta(),
    );
    return { id, created: true };
  });
  kit.handle(GetKeys, async () => ({ keys: [{ filler: 'x'.repeat(answerBytes) }] }));
};

beforeAll(async () => {
  const issuer = await createTestIssuer();
  [database, server] = await Promise.all([freshDatabase(), startNats()]);
  const urls = await provision({
    adminUrl: database.adminUrl,
    database: database.name,
    rolePrefix: database.rolePrefix,
    services: [
      {
        name: 'identity',
        password: 'x',
        migrationsDir: fileURLToPath(new URL('./fixtures/migrations/', import.meta.url)),
      },
    ],
  });
  const config = testConfig({
    service: 'identity',
    postgresUrl: urls['identity']!,
    natsUrl: server.url,
    keys: issuer.keys,
    lagAlarmSeconds: 1,
  });
  class TestModule {}
  service = await startService(
    {
      module: TestModule,
      imports: [ServiceModule.forRoot(config)],
      providers: [{ provide: 'bound', inject: [KIT], useFactory: bind }],
    },
    config,
  );
  gateway = await createTestCaller({ natsUrl: server.url, service: 'gateway', issuer });
});
afterAll(async () => {
  await gateway?.close();
  await service?.stop();
  await server?.stop();
  await database?.drop();
});

const create = (name: string): Promise<{ id: string }> =>
  gateway.call(CreateOrganization, { name }, { principal });

/** How many events the server's stream holds, 0 while there is none. */
const published = async (): Promise<number> => {
  const nc = await connectNats({ url: server.url, name: 'faults-test' });
  try {
    const manager = await jetstreamManager(nc);
    return (await manager.streams.info(streamNames.events)).state.messages;
  } catch {
    return 0;
  } finally {
    await nc.close();
  }
};

describe('an answer that NATS cannot carry', () => {
  it('is refused with a sentence instead of never coming', async () => {
    answerBytes = 2_000_000;
    await expect(gateway.call(GetKeys, {})).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining('too large'),
    });
    answerBytes = 0;
  });
});

describe('a request that NATS cannot carry', () => {
  it('is refused with a sentence', async () => {
    await expect(create('x'.repeat(2_000_000))).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining('too large'),
    });
  });
});

describe('a service whose Postgres connections are cut', () => {
  it('goes on with new ones, its events published', async () => {
    await create('Before the cut');
    const admin = new pg.Client({ connectionString: database.adminUrl });
    await admin.connect();
    await admin.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where usename like $1 and pid <> pg_backend_pid()',
      [`${database.rolePrefix}%`],
    );
    await admin.end();
    await eventually(() => create('After the cut').catch(() => null), { timeoutMs: 20_000 });
    await eventually(async () => (await published()) >= 2, { timeoutMs: 20_000 });
  });
});

describe('a NATS that lost everything', () => {
  it('gets the whole log again, and commands are answered', async () => {
    const events = await published();
    await server.stop();
    server = await startNats({ port: server.port });
    await eventually(async () => (await published()) >= events, {
      timeoutMs: 30_000,
      what: 'the whole log on the new server',
    });
    await eventually(() => create('After the loss').catch(() => null), { timeoutMs: 20_000 });
    await eventually(async () => (await published()) >= events + 1, { timeoutMs: 20_000 });
    const nc = await connectNats({ url: server.url, name: 'faults-test' });
    expect(Object.values(await ensureStreams(nc))).toEqual([
      'unchanged',
      'unchanged',
      'unchanged',
      'unchanged',
    ]);
    await nc.close();
  });
});

describe('a command that is sent while NATS is away', () => {
  it('is carried out once it is back', async () => {
    const { port } = server;
    const store = mkdtempSync(join(tmpdir(), 'gantry-kept-store-'));
    cpSync(server.storeDir, store, { recursive: true });
    const noticed = (async () => {
      for await (const { type } of gateway.nats.status()) if (type === 'disconnect') return;
    })();
    await server.stop();
    await noticed;
    const asked = create('While NATS is away');
    server = await startNats({ port, store });
    rmSync(store, { recursive: true });
    await expect(asked).resolves.toMatchObject({ created: true });
  });
});

describe('a NATS that has gone back to an older copy of its store', () => {
  it('gets what it has lost again', async () => {
    const copy = mkdtempSync(join(tmpdir(), 'gantry-old-store-'));
    cpSync(server.storeDir, copy, { recursive: true });
    const old = await published();
    await create('Lost with the store');
    await eventually(async () => (await published()) > old, { timeoutMs: 20_000 });
    await server.stop();
    server = await startNats({ port: server.port, store: copy });
    rmSync(copy, { recursive: true });
    await eventually(async () => (await published()) > old, {
      timeoutMs: 30_000,
      what: 'the lost event on the stream again',
    });
  });
});

describe('a relay that is held up', () => {
  const readiness = async (): Promise<{ status: number; body: Record<string, unknown> }> => {
    const answer = await fetch(`http://127.0.0.1:${service.httpPort}/readyz`);
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  };

  it('makes the service degraded, and not unready, until it has caught up', async () => {
    const admin = new pg.Client({ connectionString: database.adminUrl });
    await admin.connect();
    try {
      await admin.query('begin');
      // The row of the stream that is published to, which the relay cannot move on until this ends.
      await admin.query(
        `select from identity.projection_checkpoint where name like 'relay:%' order by updated_at desc for update`,
      );
      await create('Late');
      const late = await eventually(async () => {
        const said = await readiness();
        return said.body['degraded'] ? said : null;
      });
      expect(late).toMatchObject({
        status: 200,
        body: {
          ready: true,
          checks: {
            relay: expect.stringMatching(
              /^\d+ events of the log are not on the NATS stream GANTRY_EVT.*more than 1 s/,
            ),
          },
        },
      });
    } finally {
      await admin.query('rollback');
      await admin.end();
    }
    const healed = await eventually(async () => {
      const said = await readiness();
      return said.body['degraded'] ? null : said;
    });
    expect(healed.body).toMatchObject({ ready: true, checks: { relay: 'ok' } });
  });
});

describe('a projection that cannot apply an event', () => {
  it('makes the service say that it is not ready, and why, while commands go on', async () => {
    await create('poison');
    const readiness = await eventually(async () => {
      const answer = await fetch(`http://127.0.0.1:${service.httpPort}/readyz`);
      return answer.status === 503 ? ((await answer.json()) as { checks: Record<string, string> }) : null;
    });
    expect(readiness.checks['projection organization']).toContain('cannot apply this');
    await expect(create('Still accepted')).resolves.toMatchObject({ created: true });
  });
});
