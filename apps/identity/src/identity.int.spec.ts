import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Principal } from '@gantry/contracts/access';
import {
  CreateOrganization,
  CreateUser,
  GrantRole,
  IssueToken,
  ListOrganizations,
  ListUsers,
  RevokeRole,
  RevokeToken,
  VerifyToken,
} from '@gantry/contracts/identity';
import { provision } from '@gantry/eventlog/migrate';
import { startService, type RunningService } from '@gantry/service/boot';
import { createTestCaller, testConfig, type TestCaller } from '@gantry/service/testing';
import { startNats, type NatsServer } from '@gantry/testkit/nats';
import { freshDatabase, type FreshDatabase } from '@gantry/testkit/postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { identityModule } from './app.module.js';
import type { IdentityConfig } from './config.js';

let database: FreshDatabase;
let nats: NatsServer;
let home: string;
let config: IdentityConfig;
let service: RunningService;
let gateway: TestCaller;

beforeAll(async () => {
  [database, nats, home] = await Promise.all([
    freshDatabase(),
    startNats(),
    mkdtemp(join(tmpdir(), 'gantry-identity-')),
  ]);
  const migrationsDir = fileURLToPath(new URL('../migrations/', import.meta.url));
  const urls = await provision({
    adminUrl: database.adminUrl,
    database: database.name,
    rolePrefix: database.rolePrefix,
    services: [{ name: 'identity', password: 'test-identity', migrationsDir }],
  });
  config = {
    base: testConfig({ service: 'identity', postgresUrl: urls['identity']!, natsUrl: nats.url }),
    signingKeyFile: join(home, 'keys', 'assertion.json'),
    adminTokenFile: join(home, 'token'),
    reissueAdminToken: false,
  };
  service = await startService(identityModule(config), config.base);
  gateway = await createTestCaller({ natsUrl: nats.url, service: 'gateway' });
});

afterAll(async () => {
  await gateway?.close();
  await service?.stop();
  await nats?.stop();
  await database?.drop();
  await rm(home, { recursive: true, force: true });
});

const adminToken = async (): Promise<string> => (await readFile(config.adminTokenFile, 'utf8')).trim();
const login = (token: string) => gateway.call(VerifyToken, { token });
const admin = async (): Promise<{ assertion: string; principal: Principal }> => login(await adminToken());

let users = 0;
/** A new user, logged in: with their own token, as the gateway would hold it. */
const newUser = async (rights: { superuser?: boolean } = {}) => {
  const { assertion } = await admin();
  const { id } = await gateway.call(CreateUser, { username: `user${++users}`, ...rights }, { assertion });
  const { token, id: tokenId } = await gateway.call(
    IssueToken,
    { userId: id, description: 'test' },
    { assertion },
  );
  return { id, token, tokenId, again: () => login(token) };
};

describe('the first start', () => {
  it('makes an administrator whose token only the owner of the file can read', async () => {
    const token = await adminToken();
    expect(token).toMatch(/^gantry_[\w-]{43}$/);
    expect((await stat(config.adminTokenFile)).mode & 0o777).toBe(0o600);
    expect((await stat(config.signingKeyFile)).mode & 0o777).toBe(0o600);
    const { principal, tokenExpiresAt } = await login(token);
    expect(principal).toMatchObject({ username: 'admin', superuser: true });
    expect(tokenExpiresAt).toBeNull();
  });

  it('makes the organization Default', async () => {
    const { assertion } = await admin();
    const { items } = await gateway.call(ListOrganizations, { name: 'Default' }, { assertion });
    expect(items.map(({ node }) => node.name)).toEqual(['Default']);
  });

  it('keeps the token out of the log', async () => {
    const { rows } = await service.kit.pool.query(
      `select data::text || meta::text as text from identity.event_log`,
    );
    const token = await adminToken();
    expect(rows.filter(({ text }) => (text as string).includes(token.slice(7)))).toEqual([]);
  });

  it('is done once, by however many replicas', async () => {
    const before = await adminToken();
    const replicas = await Promise.all([1, 2].map(() => startService(identityModule(config), config.base)));
    await Promise.all(replicas.map((replica) => replica.stop()));
    expect(await adminToken()).toBe(before);
    const { assertion } = await admin();
    const { items } = await gateway.call(ListUsers, {}, { assertion });
    expect(items.filter(({ node }) => node.username === 'admin')).toHaveLength(1);
  });

  it('issues a new administrator token when the file is lost and that is asked for', async () => {
    const lost = await adminToken();
    await login(lost);
    await rm(config.adminTokenFile);
    await (await startService(identityModule(config), config.base)).stop();
    await expect(adminToken()).rejects.toThrow('ENOENT');
    const asked = await startService(identityModule({ ...config, reissueAdminToken: true }), config.base);
    await asked.stop();
    expect(await adminToken()).not.toBe(lost);
    expect((await admin()).principal.superuser).toBe(true);
  });
});

describe('a token', () => {
  it('that is none, or not known, is refused', async () => {
    await expect(login('hello')).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(login(`gantry_${'A'.repeat(43)}`)).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  it('dies at once when it is revoked', async () => {
    const user = await newUser();
    const { assertion } = await user.again();
    await gateway.call(RevokeToken, { id: user.tokenId }, { assertion });
    await expect(user.again()).rejects.toThrow('was revoked');
  });

  it('of somebody else cannot be revoked, nor seen to be there', async () => {
    const [owner, other] = [await newUser(), await newUser()];
    const { assertion } = await other.again();
    await expect(gateway.call(RevokeToken, { id: owner.tokenId }, { assertion })).rejects.toMatchObject({
      code: 'not_found',
    });
    await owner.again();
  });

  it('expires', async () => {
    const { assertion } = await admin();
    const { id, token } = await gateway.call(IssueToken, { expiresInSeconds: 3_600 }, { assertion });
    expect((await login(token)).tokenExpiresAt).not.toBeNull();
    const expired = await gateway.call(IssueToken, { expiresInSeconds: 3_600 }, { assertion });
    await service.kit.pool.query(
      `update identity.token set expires_at = now() - interval '1 second' where id = $1`,
      [expired.id],
    );
    await expect(login(expired.token)).rejects.toThrow('has expired');
    await gateway.call(RevokeToken, { id }, { assertion });
  });

  it('for somebody else is issued by superusers only', async () => {
    const [user, other] = [await newUser(), await newUser()];
    const { assertion } = await user.again();
    await gateway.call(IssueToken, {}, { assertion });
    await expect(gateway.call(IssueToken, { userId: other.id }, { assertion })).rejects.toMatchObject({
      code: 'forbidden',
    });
  });
});

describe('a plain user', () => {
  it('creates neither organizations nor users', async () => {
    const { assertion } = await (await newUser()).again();
    await expect(gateway.call(CreateOrganization, { name: 'Mine' }, { assertion })).rejects.toMatchObject({
      code: 'forbidden',
    });
    await expect(
      gateway.call(CreateUser, { username: 'friend', superuser: true }, { assertion }),
    ).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('sees only organizations they belong to, and themselves', async () => {
    const user = await newUser();
    const { assertion } = await user.again();
    expect((await gateway.call(ListOrganizations, {}, { assertion })).totalCount).toBe(0);
    expect((await gateway.call(ListUsers, {}, { assertion })).items.map(({ node }) => node.id)).toEqual([
      user.id,
    ]);
  });
});

describe('the administrator of an organization', () => {
  it('gives roles in it and in no other', async () => {
    const { assertion } = await admin();
    const own = await gateway.call(CreateOrganization, { name: 'Own' }, { assertion });
    const other = await gateway.call(CreateOrganization, { name: 'Other' }, { assertion });
    const [boss, user] = [await newUser(), await newUser()];
    await gateway.call(GrantRole, { userId: boss.id, organizationId: own.id, role: 'admin' }, { assertion });
    const { assertion: bossAssertion, principal } = await boss.again();
    expect(principal.organizations).toEqual({ [own.id]: ['admin'] });

    const grant = { userId: user.id, organizationId: own.id, role: 'execute' } as const;
    await gateway.call(GrantRole, grant, { assertion: bossAssertion });
    expect((await user.again()).principal.organizations).toEqual({ [own.id]: ['execute'] });
    await gateway.call(RevokeRole, grant, { assertion: bossAssertion });
    expect((await user.again()).principal.organizations).toEqual({});
    await expect(
      gateway.call(GrantRole, { ...grant, organizationId: other.id }, { assertion: bossAssertion }),
    ).rejects.toMatchObject({ code: 'forbidden' });
  });
});

describe('a creating command', () => {
  it('given twice with one key creates once', async () => {
    const { assertion } = await admin();
    const first = await gateway.call(
      CreateOrganization,
      { name: 'Once', idempotencyKey: 'k1' },
      { assertion },
    );
    const second = await gateway.call(
      CreateOrganization,
      { name: 'Once', idempotencyKey: 'k1' },
      { assertion },
    );
    expect(second).toEqual({ id: first.id, created: false });
  });

  it('refuses a name that is taken', async () => {
    const { assertion } = await admin();
    await expect(gateway.call(CreateOrganization, { name: 'default' }, { assertion })).rejects.toMatchObject({
      code: 'conflict',
    });
    await expect(gateway.call(CreateUser, { username: 'Admin' }, { assertion })).rejects.toMatchObject({
      code: 'conflict',
    });
  });

  it('needs to know who is asking', async () => {
    await expect(gateway.call(CreateOrganization, { name: 'Nobody' })).rejects.toMatchObject({
      code: 'unauthenticated',
    });
    await expect(
      gateway.call(CreateOrganization, { name: 'Nobody' }, { assertion: 'a.b.c' }),
    ).rejects.toMatchObject({ code: 'unauthenticated' });
  });
});
