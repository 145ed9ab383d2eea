/** Default execution environments of organizations. The registry is played as far as it is asked. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ListExecutionEnvironments } from '@gantry/contracts/ee';
import {
  CreateOrganization,
  CreateUser,
  GetDefaultEnvironments,
  GrantRole,
  IssueToken,
  ListOrganizations,
  ListOrganizationsUsingEnvironment,
  SetOrganizationDefaultEnvironment,
  VerifyToken,
} from '@gantry/contracts/identity';
import { commandSubject } from '@gantry/contracts/subjects';
import { provision } from '@gantry/eventlog/migrate';
import { startService, type RunningService } from '@gantry/service/boot';
import { newId } from '@gantry/service/context';
import { createTestCaller, testConfig, type TestCaller } from '@gantry/service/testing';
import { startNats, type NatsServer } from '@gantry/testkit/nats';
import { freshDatabase, type FreshDatabase } from '@gantry/testkit/postgres';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { identityModule } from './app.module.js';

let database: FreshDatabase;
let nats: NatsServer;
let home: string;
let service: RunningService;
let gateway: TestCaller;
let templates: TestCaller;
let registry: TestCaller;
let assertion: string;
/** Whose an execution environment is. */
const owners = new Map<string, string | null>();

beforeAll(async () => {
  [database, nats, home] = await Promise.all([
    freshDatabase(),
    startNats(),
    mkdtemp(join(tmpdir(), 'gantry-identity-')),
  ]);
  const urls = await provision({
    adminUrl: database.adminUrl,
    database: database.name,
    rolePrefix: database.rolePrefix,
    services: [
      {
        name: 'identity',
        password: 'test-identity',
        migrationsDir: fileURLToPath(new URL('../migrations/', import.meta.url)),
      },
    ],
  });
  const base = testConfig({ service: 'identity', postgresUrl: urls['identity']!, natsUrl: nats.url });
  const adminTokenFile = join(home, 'token');
  service = await startService(
    identityModule({
      base,
      signingKeyFile: join(home, 'assertion.json'),
      adminTokenFile,
      reissueAdminToken: false,
    }),
    base,
  );
  const caller = (name: 'gateway' | 'templates' | 'registry') =>
    createTestCaller({ natsUrl: nats.url, service: name });
  [gateway, templates, registry] = await Promise.all([
    caller('gateway'),
    caller('templates'),
    caller('registry'),
  ]);
  const token = (await readFile(adminTokenFile, 'utf8')).trim();
  ({ assertion } = await gateway.call(VerifyToken, { token }));
  service.kit.nats.subscribe(commandSubject(ListExecutionEnvironments), {
    callback: (_, message) => {
      const [id = ''] = message.json<{ ids: string[] }>().ids;
      const node = {
        id,
        name: 'EE',
        organizationId: owners.get(id),
        image: 'localhost/ee:1',
        version: 1,
        managed: false,
        isDefault: false,
        digest: null,
        digestSince: null,
        tagMoved: null,
        lookup: null,
        createdAt: '',
      };
      const items = owners.has(id) ? [{ cursor: '', node }] : [];
      message.respond(JSON.stringify({ ok: { items, hasNextPage: false, totalCount: items.length } }));
    },
  });
});
afterAll(async () => {
  await Promise.allSettled([gateway?.close(), templates?.close(), registry?.close()]);
  await service?.stop();
  await nats?.stop();
  await database?.drop();
  await rm(home, { recursive: true, force: true });
});

const environment = (owner: string | null = null): string => {
  const id = newId();
  owners.set(id, owner);
  return id;
};
const createOrganization = async (name: string): Promise<string> =>
  (await gateway.call(CreateOrganization, { name }, { assertion })).id;
let users = 0;
/** Somebody with this role in the organization, logged in. */
const somebody = async (organizationId: string, role: 'admin' | 'read' | 'member' | null) => {
  const { id: userId } = await gateway.call(CreateUser, { username: `user${++users}` }, { assertion });
  if (role) await gateway.call(GrantRole, { userId, organizationId, role }, { assertion });
  const { token } = await gateway.call(IssueToken, { userId }, { assertion });
  return (await gateway.call(VerifyToken, { token })).assertion;
};
const set = (id: string, executionEnvironmentId: string | null, as = assertion) =>
  gateway.call(SetOrganizationDefaultEnvironment, { id, executionEnvironmentId }, { assertion: as });

it('the default of an organization is told to templates, and taken away again', async () => {
  const id = await createOrganization('Told');
  const chosen = environment(id);
  const told = () => templates.call(GetDefaultEnvironments, { organizationIds: [id] });
  expect(await told()).toEqual({ items: [] });
  await set(id, chosen);
  expect(await told()).toEqual({ items: [{ organizationId: id, executionEnvironmentId: chosen }] });
  const { items } = await gateway.call(ListOrganizations, { ids: [id] }, { assertion });
  expect(items[0]!.node.defaultEnvironmentId).toBe(chosen);
  await set(id, null);
  expect(await told()).toEqual({ items: [] });
});

it('it is global or its own, and there', async () => {
  const id = await createOrganization('Own');
  await expect(set(id, environment(newId()))).rejects.toMatchObject({
    code: 'refused',
    details: { reason: 'other_organization' },
  });
  await expect(set(id, newId())).rejects.toMatchObject({ code: 'not_found' });
  await expect(set(newId(), environment())).rejects.toMatchObject({ code: 'not_found' });
});

it("it is chosen by the organization's administrators", async () => {
  const id = await createOrganization('Chosen');
  await set(id, environment(), await somebody(id, 'admin'));
  for (const [role, code] of [
    ['read', 'forbidden'],
    ['member', 'forbidden'],
    [null, 'not_found'],
  ] as const)
    await expect(set(id, environment(), await somebody(id, role))).rejects.toMatchObject({ code });
});

it('organizations that use one are named to their people, and counted for others', async () => {
  const [id, other] = [await createOrganization('Named'), await createOrganization('Hidden')];
  const executionEnvironmentId = environment();
  await set(id, executionEnvironmentId);
  await set(other, executionEnvironmentId);
  const users = (as: string) =>
    registry.call(ListOrganizationsUsingEnvironment, { executionEnvironmentId }, { assertion: as });
  expect((await users(assertion)).totalCount).toBe(2);
  expect(await users(await somebody(id, 'member'))).toEqual({
    items: [{ kind: 'organization', id, name: 'Named' }],
    totalCount: 2,
  });
});
