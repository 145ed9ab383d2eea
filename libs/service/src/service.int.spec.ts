import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { consume } from '@gantry/bus/consume';
import { connectNats, type NatsConnection } from '@gantry/bus/connect';
import { authorize } from '@gantry/contracts/access';
import { ENCRYPTED } from '@gantry/contracts/credential';
import type { EventEnvelope } from '@gantry/contracts/envelope';
import { makeEvent, parseEvent } from '@gantry/contracts/envelope';
import {
  CreateOrganization,
  GetKeys,
  IssueToken,
  ListOrganizations,
  OrganizationCreated,
  RevokeToken,
  identityEvents,
} from '@gantry/contracts/identity';
import { CloseRecord } from '@gantry/contracts/record';
import { provision } from '@gantry/eventlog/migrate';
import { eventually } from '@gantry/testkit/eventually';
import { startNats, type NatsServer } from '@gantry/testkit/nats';
import { freshDatabase, type FreshDatabase } from '@gantry/testkit/postgres';
import { EntitySchema, type DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startService, type RunningService } from './boot.js';
import { systemContext } from './context.js';
import { claim, once } from './idempotency.js';
import { KIT, type ServiceKit } from './kit.js';
import { ServiceModule } from './module.js';
import { byCreation, readPage } from './page.js';
import {
  createTestCaller,
  createTestIssuer,
  testConfig,
  testPrincipal,
  type TestCaller,
  type TestIssuer,
} from './testing.js';

interface OrganizationRow {
  id: string;
  name: string;
  created_at: Date;
}
const OrganizationEntity = new EntitySchema<OrganizationRow>({
  name: 'organization',
  columns: {
    id: { type: 'uuid', primary: true },
    name: { type: 'text' },
    created_at: { type: 'timestamptz' },
  },
});

let database: FreshDatabase;
let server: NatsServer;
let issuer: TestIssuer;
let services: RunningService[];
let gateway: TestCaller;
let kit: ServiceKit;
let source: DataSource;
let holdTokens: Promise<void> = Promise.resolve();
const reactions: { id: string; causationId?: string; correlationId: string }[] = [];
const superuser = testPrincipal({ superuser: true, username: 'admin' });

/** What a service's own module would bind. */
const bindOrganizations = async (kit: ServiceKit): Promise<void> => {
  kit.project({
    name: 'organization',
    tables: ['organization'],
    types: [OrganizationCreated.type],
    apply: async (stored, sql) => {
      const event = parseEvent(identityEvents, stored);
      if (event?.type !== 'organization.created') return;
      await sql.query('insert into identity.organization (id, name, created_at) values ($1, $2, $3)', [
        event.data.organizationId,
        event.data.name,
        stored.at,
      ]);
    },
  });
  source = await kit.dataSource([OrganizationEntity]);
  kit.handle(CreateOrganization, async (input, context) => {
    authorize(context.principal!, 'admin', null, 'organizations');
    return once(
      kit,
      { scope: `organization:${context.principal!.userId}`, key: input.idempotencyKey },
      async (sql, id) => {
        await claim(sql, kit.log!, {
          scope: 'organization.name',
          key: input.name,
          id,
          sentence: `There is an organization called ${input.name} already.`,
        });
        const event = makeEvent(OrganizationCreated, randomUUID(), {
          organizationId: id,
          name: input.name,
          description: input.description,
        });
        await kit.log!.appendIn(sql, `organization-${id}`, 0, [event], context.meta());
      },
    );
  });
  kit.handle(ListOrganizations, (input) =>
    readPage(kit.pool, {
      from: 'identity.organization',
      keys: byCreation,
      request: input,
      node: (row: OrganizationRow) => ({
        id: row.id,
        name: row.name,
        description: '',
        createdAt: row.created_at.toISOString(),
      }),
    }),
  );
  kit.handle(GetKeys, async () => issuer.keys);
  kit.handle(IssueToken, async () => {
    await holdTokens;
    return { id: randomUUID(), token: ENCRYPTED };
  });
  kit.handle(RevokeToken, async () => {
    throw new Error('a secret detail of the inside');
  });
  kit.react({
    purpose: 'echo',
    types: ['organization.created'],
    handle: async (envelope, context) =>
      void reactions.push({
        id: envelope.id,
        causationId: context.meta().causationId,
        correlationId: context.correlationId,
      }),
  });
};

const startOne = async (natsUrl: string, postgresUrl: string): Promise<RunningService> => {
  // No `keys`: assertions are checked with what identity.keys.get answers, as everywhere.
  const config = testConfig({ service: 'identity', postgresUrl, natsUrl });
  class TestModule {}
  return startService(
    {
      module: TestModule,
      imports: [ServiceModule.forRoot(config)],
      providers: [{ provide: 'bound', inject: [KIT], useFactory: bindOrganizations }],
    },
    config,
  );
};

beforeAll(async () => {
  [database, server, issuer] = await Promise.all([freshDatabase(), startNats(), createTestIssuer()]);
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
  services = await Promise.all([
    startOne(server.url, urls['identity']!),
    startOne(server.url, urls['identity']!),
  ]);
  kit = services[0]!.kit;
  gateway = await createTestCaller({ natsUrl: server.url, service: 'gateway', issuer });
});
afterAll(async () => {
  await gateway?.close();
  await Promise.all((services ?? []).map((service) => service.stop()));
  await server?.stop();
  await database?.drop();
});

const create = (name: string, more: object = {}) =>
  gateway.call(CreateOrganization, { name, ...more }, { principal: superuser });

describe('a command', () => {
  it('is carried out in a person’s name, and the next query shows it', async () => {
    const { id, created } = await create('Shown at once');
    expect(created).toBe(true);
    const { items } = await gateway.call(ListOrganizations, { first: 200 }, { principal: superuser });
    expect(items.map(({ node }) => node.id)).toContain(id);
    const [stored] = await kit.log!.readStream(`organization-${id}`);
    expect(stored?.meta.actor).toEqual({ kind: 'user', id: superuser.userId, name: 'admin' });
  });

  it('is carried out once per idempotency key, however many ask at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => create('Only once', { idempotencyKey: 'k-1' })),
    );
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
    expect(answers.filter(({ created }) => created)).toHaveLength(1);
  });

  it('creates one of two things that want the same name at once, and can be repeated under another name', async () => {
    const answers = await Promise.allSettled([
      create('Wanted', { idempotencyKey: 'w-1' }),
      create('Wanted', { idempotencyKey: 'w-2' }),
    ]);
    expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(answers.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'conflict', message: expect.stringContaining('called Wanted') },
    });
    const loser = answers[0]!.status === 'rejected' ? 'w-1' : 'w-2';
    await expect(create('Not wanted', { idempotencyKey: loser })).resolves.toMatchObject({ created: true });
  });

  it('can be looked up through TypeORM', async () => {
    const { id } = await create('By entity');
    const found = await source.getRepository(OrganizationEntity).findOneByOrFail({ name: 'By entity' });
    expect(found.id).toBe(id);
  });

  it('is refused without an assertion, with a forged, a foreign and an expired one', async () => {
    const foreign = await createTestIssuer();
    const [expired, alien] = await Promise.all([
      issuer.assertionFor(superuser, { seconds: -60 }),
      foreign.assertionFor(superuser),
    ]);
    const genuine = await issuer.assertionFor(superuser);
    const forged = `${genuine.slice(0, -6)}${genuine.endsWith('AAAAAA') ? 'BBBBBB' : 'AAAAAA'}`;
    for (const assertion of [undefined, 'nonsense', forged, alien, expired]) {
      await expect(gateway.call(ListOrganizations, {}, { assertion })).rejects.toMatchObject({
        code: 'unauthenticated',
      });
    }
    const eternal = await issuer.assertionFor(superuser, { seconds: 3_600 });
    await expect(gateway.call(ListOrganizations, {}, { assertion: eternal })).rejects.toMatchObject({
      code: 'unauthenticated',
    });
  });

  it('is refused to a person without the right, with the sentence of the owner', async () => {
    await expect(
      gateway.call(CreateOrganization, { name: 'No' }, { principal: testPrincipal() }),
    ).rejects.toMatchObject({
      code: 'forbidden',
      message: expect.stringContaining('tester may not admin organizations'),
    });
  });

  it('names what is wrong with its input', async () => {
    await expect(create('')).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining('name: a name is needed'),
    });
  });

  it('tells nothing of an unexpected failure', async () => {
    const failure = await gateway
      .call(RevokeToken, { id: randomUUID() }, { principal: superuser })
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'defect' });
    expect(JSON.stringify(failure) + (failure as Error).message).not.toContain('secret detail');
  });

  it('is unavailable when its service does not run, and too late when its deadline has passed', async () => {
    await expect(
      gateway.call(CloseRecord, { jobId: randomUUID(), epoch: 1, reason: null }),
    ).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('ingest is not running'),
    });
    await expect(gateway.call(GetKeys, {}, { deadline: Date.now() - 1 })).rejects.toMatchObject({
      code: 'unavailable',
    });
  });

  it('is answered late as unavailable to the caller', async () => {
    let letGo: () => void = () => undefined;
    holdTokens = new Promise((resolve) => (letGo = resolve));
    await expect(
      gateway.call(IssueToken, {}, { principal: superuser, deadline: Date.now() + 150 }),
    ).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('not answered in time'),
    });
    letGo();
  });
});

describe('pages', () => {
  it('give every row once, in order, with stable cursors', async () => {
    for (let index = 0; index < 5; index++) await create(`Page ${index}`);
    const whole = await gateway.call(ListOrganizations, { first: 200 }, { principal: superuser });
    const seen: string[] = [];
    let after: string | undefined;
    for (;;) {
      const page = await gateway.call(ListOrganizations, { first: 2, after }, { principal: superuser });
      seen.push(...page.items.map(({ node }) => node.id));
      expect(page.totalCount).toBe(whole.totalCount);
      if (!page.hasNextPage) break;
      after = page.items.at(-1)!.cursor;
    }
    expect(seen).toEqual(whole.items.map(({ node }) => node.id));
  });

  it.each(['nonsense', Buffer.from('["yesterday","1"]').toString('base64url')])(
    'refuse the made-up cursor %s',
    async (after) => {
      await expect(
        gateway.call(ListOrganizations, { after }, { principal: superuser }),
      ).rejects.toMatchObject({ code: 'invalid' });
    },
  );
});

describe('the relay', () => {
  it('publishes everything once, in the log’s order, though two replicas run it', async () => {
    const correlationId = randomUUID();
    for (let index = 0; index < 30; index++) {
      await kit.log!.append(
        `organization-${randomUUID()}`,
        0,
        [
          makeEvent(OrganizationCreated, randomUUID(), {
            organizationId: randomUUID(),
            name: `Relayed ${index}`,
            description: '',
          }),
        ],
        systemContext(kit, { correlationId }).meta(),
      );
    }
    const seen: EventEnvelope[] = [];
    const abort = new AbortController();
    const nc: NatsConnection = await connectNats({ url: server.url, name: 'relay-test' });
    const done = consume({
      nc,
      service: 'gateway',
      purpose: 'relay-test',
      types: ['organization.created'],
      logger: kit.logger,
      signal: abort.signal,
      handle: async (envelope) => void (envelope.meta.correlationId === correlationId && seen.push(envelope)),
    });
    await eventually(() => seen.length >= 30, { timeoutMs: 20_000 });
    abort.abort();
    await done;
    await nc.close();
    expect(seen.map(({ data }) => (data as { name: string }).name)).toEqual(
      Array.from({ length: 30 }, (_, index) => `Relayed ${index}`),
    );
  });
});

describe('a reaction', () => {
  it('runs in the same correlation as its event, caused by it, once among the replicas', async () => {
    const { id } = await gateway.call(
      CreateOrganization,
      { name: 'Reacted to' },
      { principal: superuser, correlationId: 'corr-9' },
    );
    const [stored] = await kit.log!.readStream(`organization-${id}`);
    const reaction = await eventually(() => reactions.find((one) => one.id === stored!.id));
    expect(reaction).toEqual({ id: stored!.id, causationId: stored!.id, correlationId: 'corr-9' });
    expect(reactions.filter((one) => one.id === stored!.id)).toHaveLength(1);
  });
});

describe('health', () => {
  it('says that the process lives and what readiness looked at', async () => {
    const base = `http://127.0.0.1:${services[0]!.httpPort}`;
    expect(await (await fetch(`${base}/healthz`)).json()).toEqual({ service: 'identity', alive: true });
    const ready = await eventually(async () => {
      const answer = await fetch(`${base}/readyz`);
      return answer.status === 200 ? ((await answer.json()) as object) : null;
    });
    expect(ready).toEqual({
      service: 'identity',
      ready: true,
      degraded: false,
      checks: { nats: 'ok', postgres: 'ok', 'projection organization': 'ok', relay: 'ok' },
    });
  });
});

describe('a service that is told to stop', () => {
  it('answers what it has begun, and the other replica takes the rest', async () => {
    let letGo: () => void = () => undefined;
    holdTokens = new Promise((resolve) => (letGo = resolve));
    const calls = Array.from({ length: 8 }, () => gateway.call(IssueToken, {}, { principal: superuser }));
    // The queue group has dealt them out once a later request was answered.
    await gateway.call(GetKeys, {});
    const stopped = services[1]!.stop();
    letGo();
    expect(await Promise.all(calls)).toHaveLength(8);
    await stopped;
    services.splice(1, 1);
    await expect(gateway.call(GetKeys, {})).resolves.toEqual(issuer.keys);
  });
});
