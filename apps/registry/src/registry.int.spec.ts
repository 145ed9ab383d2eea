import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { OrganizationRole, Principal } from '@gantry/contracts/access';
import {
  ListExecutionEnvironments,
  MakeDefaultExecutionEnvironment,
  NoteDigest,
  RegisterExecutionEnvironment,
  ResolveExecutionEnvironment,
} from '@gantry/contracts/ee';
import { provision } from '@gantry/eventlog/migrate';
import { startService, type RunningService } from '@gantry/service/boot';
import { newId } from '@gantry/service/context';
import {
  createTestCaller,
  createTestIssuer,
  testConfig,
  testPrincipal,
  type TestCaller,
  type TestIssuer,
} from '@gantry/service/testing';
import { startNats, type NatsServer } from '@gantry/testkit/nats';
import { freshDatabase, type FreshDatabase } from '@gantry/testkit/postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RegistryModule } from './app.module.js';
import { seedIds, type SeedSettings } from './seed.js';

const digest = (n: number): string => `sha256:${String(n).repeat(64)}`;
const organizationId = newId();
const withRole = (...roles: OrganizationRole[]): Principal =>
  testPrincipal({ organizations: { [organizationId]: roles } });
const admin = withRole('admin');
const superuser = testPrincipal({ superuser: true });

let database: FreshDatabase;
let nats: NatsServer;
let issuer: TestIssuer;
let postgresUrl: string;
let asAdmin: pg.Client;
let service: RunningService;
let gateway: TestCaller;
let launcher: TestCaller;
// What the images' registry answers, by path; not there = 404. Null = it is away.
let images: Map<string, string> | null = new Map();
let imageServer: Server;
let host: string;
let asked = 0;

const start = async (seed: SeedSettings): Promise<RunningService> => {
  const base = testConfig({ service: 'registry', postgresUrl, natsUrl: nats.url, keys: issuer.keys });
  return startService(RegistryModule.forRoot({ base, seed }), base);
};
const restart = async (seed: SeedSettings): Promise<void> => {
  await service.stop();
  service = await start(seed);
};

beforeAll(async () => {
  [database, nats, issuer] = await Promise.all([freshDatabase(), startNats(), createTestIssuer()]);
  const urls = await provision({
    adminUrl: database.adminUrl,
    database: database.name,
    rolePrefix: database.rolePrefix,
    services: [
      {
        name: 'registry',
        password: 'test',
        migrationsDir: fileURLToPath(new URL('../migrations/', import.meta.url)),
      },
    ],
  });
  postgresUrl = urls['registry']!;
  asAdmin = new pg.Client({ connectionString: database.adminUrl });
  await asAdmin.connect();
  imageServer = createServer((request, response) => {
    asked += 1;
    if (images === null) return void response.writeHead(503).end();
    const found = images.get(request.url ?? '');
    if (found) response.writeHead(200, { 'docker-content-digest': found }).end();
    else response.writeHead(404).end(JSON.stringify({ errors: [{ message: 'manifest unknown' }] }));
  });
  await new Promise<void>((resolve) => imageServer.listen(0, '127.0.0.1', resolve));
  host = `127.0.0.1:${(imageServer.address() as AddressInfo).port}`;
  service = await start({ localImage: null, defaultIs: 'quay' });
  gateway = await createTestCaller({ natsUrl: nats.url, service: 'gateway', issuer });
  launcher = await createTestCaller({ natsUrl: nats.url, service: 'launcher', issuer });
});
afterAll(async () => {
  await Promise.allSettled([gateway?.close(), launcher?.close(), asAdmin?.end()]);
  await service?.stop();
  imageServer?.closeAllConnections();
  imageServer?.close();
  await Promise.allSettled([nats?.stop(), database?.drop()]);
});

const list = async (principal: Principal = superuser) =>
  (await gateway.call(ListExecutionEnvironments, {}, { principal })).items.map(({ node }) => node);
const theDefault = async (): Promise<string | undefined> =>
  (await list()).find(({ isDefault }) => isDefault)?.name;
const register = async (
  image: string,
  more: { pull?: 'always' | 'missing' | 'never'; organizationId?: string; name?: string } = {},
  principal = superuser,
): Promise<string> =>
  (await gateway.call(RegisterExecutionEnvironment, { name: `ee ${newId()}`, image, ...more }, { principal }))
    .id;
const resolve = (executionEnvironmentId: string | null, principal: Principal = withRole('execute')) =>
  launcher.call(ResolveExecutionEnvironment, { executionEnvironmentId, organizationId }, { principal });
const countEvents = async (): Promise<number> =>
  Number((await asAdmin.query('select count(*) as n from registry.event_log')).rows[0].n);

describe('a new installation', () => {
  it("has AWX's three execution environments, and the local one as default once there is one", async () => {
    expect(
      (await list()).map(({ name, image, managed, isDefault }) => ({ name, image, managed, isDefault })),
    ).toEqual([
      { name: 'AWX EE (24.6.1)', image: 'quay.io/ansible/awx-ee:24.6.1', managed: false, isDefault: false },
      { name: 'AWX EE (latest)', image: 'quay.io/ansible/awx-ee:latest', managed: false, isDefault: true },
      {
        name: 'Control Plane Execution Environment',
        image: 'quay.io/ansible/awx-ee:latest',
        managed: true,
        isDefault: false,
      },
    ]);
    await restart({ localImage: 'localhost/gantry-ee:1', defaultIs: 'local' });
    expect(await theDefault()).toBe('Gantry EE (local)');
    expect((await list()).find(({ id }) => id === seedIds.local)).toMatchObject({
      image: 'localhost/gantry-ee:1',
      pull: 'never',
    });
  });

  it('is not changed by starting again, by two at once neither', async () => {
    const before = await countEvents();
    const second = await start({ localImage: 'localhost/gantry-ee:1', defaultIs: 'local' });
    await Promise.all([second.stop(), restart({ localImage: 'localhost/gantry-ee:1', defaultIs: 'local' })]);
    expect(await countEvents()).toBe(before);
  });

  it("follows the local image to another name, and never undoes a person's choice of the default", async () => {
    await gateway.call(MakeDefaultExecutionEnvironment, { id: seedIds.tagged }, { principal: superuser });
    await gateway.call(MakeDefaultExecutionEnvironment, { id: seedIds.tagged }, { principal: superuser });
    await restart({ localImage: 'localhost/gantry-ee:2', defaultIs: 'local' });
    expect(await theDefault()).toBe('AWX EE (24.6.1)');
    expect((await list()).find(({ id }) => id === seedIds.local)?.image).toBe('localhost/gantry-ee:2');
    await gateway.call(MakeDefaultExecutionEnvironment, { id: seedIds.local }, { principal: superuser });
  });
});

describe('registering', () => {
  it('is for administrators: of the organization, or of everything', async () => {
    await register('quay.io/x/y:1', { organizationId }, admin);
    for (const role of ['use', 'execute', 'update', 'read', 'auditor', 'member'] as const) {
      await expect(register('quay.io/x/y:1', { organizationId }, withRole(role))).rejects.toMatchObject({
        code: 'forbidden',
      });
    }
    await expect(register('quay.io/x/y:1', {}, admin)).rejects.toMatchObject({ code: 'forbidden' });
    await expect(
      gateway.call(MakeDefaultExecutionEnvironment, { id: seedIds.latest }, { principal: admin }),
    ).rejects.toMatchObject({ code: 'forbidden' });
    const unsigned = gateway.call(RegisterExecutionEnvironment, { name: 'x', image: 'quay.io/x/y:1' });
    await expect(unsigned).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  it('shows an organization its own and the global ones', async () => {
    const id = await register('quay.io/x/own:1', { organizationId }, admin);
    const sees = async (principal: Principal) => (await list(principal)).some((node) => node.id === id);
    expect(
      await Promise.all(
        [withRole('read'), testPrincipal({ auditor: true }), testPrincipal(), withRole('member')].map(sees),
      ),
    ).toEqual([true, true, false, false]);
    expect((await list(testPrincipal())).map(({ id: each }) => each)).toContain(seedIds.latest);
  });

  it('quotes what is wrong with an image, and takes a name once', async () => {
    await expect(register('quay.io/Foo/bar')).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining('"Foo"') as string,
    });
    await expect(register('quay.io/x/y:1', { name: 'AWX EE (latest)' })).rejects.toMatchObject({
      code: 'refused',
      details: { reason: 'name_taken' },
    });
    const again = { name: 'once only', image: 'alpine', idempotencyKey: newId() };
    const [first, second] = [
      await gateway.call(RegisterExecutionEnvironment, again, { principal: superuser }),
      await gateway.call(RegisterExecutionEnvironment, again, { principal: superuser }),
    ];
    expect([first.created, second]).toEqual([true, { id: first.id, created: false }]);
    expect((await list()).find(({ id }) => id === first.id)?.image).toBe('docker.io/library/alpine');
  });
});

describe('the image of a job', () => {
  it('is the local default when the job names none, and nobody is asked', async () => {
    const before = asked;
    expect(await resolve(null)).toMatchObject({
      id: seedIds.local,
      image: 'localhost/gantry-ee:2',
      pull: 'never',
      digest: null,
      reason: 'the default of this installation',
    });
    expect(asked).toBe(before);
  });

  it('is what its registry says, which is remembered', async () => {
    images = new Map([['/v2/team/ee/manifests/1', digest(1)]]);
    const id = await register(`${host}/team/ee:1`);
    expect(await resolve(id)).toMatchObject({
      pull: 'missing',
      digest: digest(1),
      reason: 'the job template names it',
    });
    expect((await list()).find((node) => node.id === id)?.digest).toBe(digest(1));
    images = null;
    expect(await resolve(id)).toMatchObject({
      digest: digest(1),
      reason: expect.stringContaining('last known') as string,
    });
  });

  it('is refused in the words of its registry', async () => {
    images = new Map();
    await expect(resolve(await register(`${host}/team/none:1`))).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('"manifest unknown"') as string,
      details: { reason: 'image_not_found' },
    });
  });

  it('is unknown while its registry is away: the machine may have it, unless it is always to be pulled', async () => {
    images = null;
    expect(await resolve(await register(`${host}/team/ee:2`))).toMatchObject({
      pull: 'missing',
      digest: null,
      reason: expect.stringContaining('away') as string,
    });
    await expect(resolve(await register(`${host}/team/ee`))).rejects.toMatchObject({
      code: 'refused',
      details: { reason: 'registry_unreachable' },
    });
  });

  it('is known from a digest in its name, and left to the engine when it is never pulled', async () => {
    const before = asked;
    expect(await resolve(await register(`${host}/team/ee@${digest(3)}`))).toMatchObject({
      digest: digest(3),
      pull: 'missing',
    });
    expect(await resolve(await register(`${host}/team/ee:9`, { pull: 'never' }))).toMatchObject({
      digest: null,
      pull: 'never',
    });
    expect(asked).toBe(before);
  });

  it("may be another organization's for who may use it there alone", async () => {
    const elsewhere = newId();
    const id = await register(`${host}/team/ee@${digest(3)}`, { organizationId: elsewhere });
    const user = (...roles: OrganizationRole[]) =>
      testPrincipal({ organizations: { [elsewhere]: roles, [organizationId]: ['execute'] } });
    expect(await resolve(id, user('use'))).toMatchObject({ id });
    await expect(resolve(id, user('read'))).rejects.toMatchObject({ code: 'forbidden' });
    await expect(resolve(id)).rejects.toMatchObject({ code: 'not_found' });
    await expect(resolve(newId())).rejects.toMatchObject({ code: 'not_found' });
  });

  it('is noted as an engine found it', async () => {
    const found = { id: seedIds.local, image: 'localhost/gantry-ee:2', digest: digest(5) };
    await launcher.call(NoteDigest, found);
    await launcher.call(NoteDigest, { ...found, image: 'localhost/gantry-ee:1', digest: digest(6) });
    expect((await list()).find(({ id }) => id === seedIds.local)?.digest).toBe(digest(5));
    await expect(launcher.call(NoteDigest, { ...found, digest: 'latest' })).rejects.toMatchObject({
      code: 'invalid',
    });
  });
});
