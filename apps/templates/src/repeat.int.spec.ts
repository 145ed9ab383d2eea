/** What a relaunch asks of templates: the snapshot of a past job once more, and how two inventories differ. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Principal } from '@gantry/contracts/access';
import type { InputOf } from '@gantry/contracts/command';
import { GetDefaultEnvironments } from '@gantry/contracts/identity';
import { commandSubject } from '@gantry/contracts/subjects';
import {
  CompareInventories,
  CreateInventory,
  CreateJobTemplate,
  CreateProject,
  RepeatSnapshot,
  ReviseJobTemplate,
  SnapshotInventory,
  SnapshotJobTemplate,
} from '@gantry/contracts/template';
import { provision } from '@gantry/eventlog/migrate';
import { startService, type RunningService } from '@gantry/service/boot';
import { newId } from '@gantry/service/context';
import {
  createTestCaller,
  createTestIssuer,
  testConfig,
  testPrincipal,
  type TestCaller,
} from '@gantry/service/testing';
import { startNats, type NatsServer } from '@gantry/testkit/nats';
import { freshDatabase, type FreshDatabase } from '@gantry/testkit/postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { templatesModule } from './app.module.js';
import type { TemplatesConfig } from './config.js';

let database: FreshDatabase;
let nats: NatsServer;
let home: string;
let service: RunningService;
let gateway: TestCaller;
let launcher: TestCaller;

const organizationId = newId();
const admin = testPrincipal({ organizations: { [organizationId]: ['admin'] } });
const operator = testPrincipal({ username: 'operator', organizations: { [organizationId]: ['execute'] } });
const reader = testPrincipal({ organizations: { [organizationId]: ['read'] } });
const plain = testPrincipal();
const foreignAdmin = testPrincipal({ organizations: { [newId()]: ['admin'] } });
const uniqueName = (): string => `name ${newId()}`;

beforeAll(async () => {
  [database, nats, home] = await Promise.all([
    freshDatabase(),
    startNats(),
    mkdtemp(join(tmpdir(), 'gantry-repeat-')),
  ]);
  const migrationsDir = fileURLToPath(new URL('../migrations/', import.meta.url));
  const { adminUrl, name, rolePrefix } = database;
  const services = [{ name: 'templates', password: 'test-templates', migrationsDir }];
  const urls = await provision({ adminUrl, database: name, rolePrefix, services });
  const issuer = await createTestIssuer();
  const config: TemplatesConfig = {
    base: testConfig({
      service: 'templates',
      postgresUrl: urls['templates']!,
      natsUrl: nats.url,
      keys: issuer.keys,
    }),
    git: {
      directory: home,
      allowFile: false,
      silenceSeconds: 2,
      environment: { PATH: process.env['PATH']! },
      proxied: false,
    },
  };
  service = await startService(templatesModule(config), config.base);
  service.kit.nats.subscribe(commandSubject(GetDefaultEnvironments), {
    callback: (_, message) => void message.respond(JSON.stringify({ ok: { items: [] } })),
  });
  gateway = await createTestCaller({ natsUrl: nats.url, service: 'gateway', issuer });
  launcher = await createTestCaller({ natsUrl: nats.url, service: 'launcher', issuer });
});
afterAll(async () => {
  await Promise.allSettled([gateway?.close(), launcher?.close()]);
  await service?.stop();
  await Promise.allSettled([nats?.stop(), database?.drop(), rm(home, { recursive: true })]);
});

const createProject = async (): Promise<string> => {
  // Nothing is fetched from it here.
  const input = { name: uniqueName(), organizationId, scmUrl: 'git://127.0.0.1:1/none.git' };
  return (await gateway.call(CreateProject, input, { principal: admin })).id;
};
const createInventory = async (hosts: string[]): Promise<string> => {
  const input = { name: uniqueName(), organizationId, hosts: hosts.map((name) => ({ name })) };
  return (await gateway.call(CreateInventory, input, { principal: admin })).id;
};

describe('a past job that is run again', () => {
  const past = async (askOnLaunch: InputOf<typeof CreateJobTemplate>['askOnLaunch'] = ['variables']) => {
    const input = {
      name: uniqueName(),
      organizationId,
      playbook: 'site.yml',
      projectId: await createProject(),
      inventoryId: await createInventory([]),
      extraVars: { a: 1 },
      askOnLaunch,
    };
    const { id } = await gateway.call(CreateJobTemplate, input, { principal: admin });
    const asked = { jobTemplate: id, prompts: {} };
    const snapshot = await launcher.call(SnapshotJobTemplate, asked, { principal: operator });
    const repeat = (principal: Principal, changes: InputOf<typeof RepeatSnapshot>['changes'] = {}) =>
      launcher.call(RepeatSnapshot, { snapshot, changes }, { principal });
    const revise = (over: Partial<typeof input>) =>
      gateway.call(ReviseJobTemplate, { id, ...input, ...over }, { principal: admin });
    return { snapshot, repeat, revise };
  };

  it('is what it was, though its template says otherwise now', async () => {
    const { snapshot, repeat, revise } = await past();
    await revise({ extraVars: { a: 2 }, playbook: 'other.yml' });
    expect((await repeat(operator)).snapshot).toEqual(snapshot);
  });

  it('may be changed where the template asks today, and nowhere else', async () => {
    const { repeat, revise } = await past();
    expect((await repeat(operator, { extraVars: { b: 2 } })).snapshot.extraVars).toEqual({ a: 1, b: 2 });
    await expect(repeat(operator, { limit: 'web' })).rejects.toThrow('limit');
    await revise({ askOnLaunch: [] });
    await expect(repeat(operator, { extraVars: { b: 2 } })).rejects.toMatchObject({ code: 'invalid' });
  });

  it('is for who may execute the template today', async () => {
    const { repeat } = await past();
    await expect(repeat(reader)).rejects.toMatchObject({ code: 'forbidden' });
    await expect(repeat(plain)).rejects.toMatchObject({ code: 'not_found' });
    await expect(repeat(foreignAdmin)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('needs the right to use what the template does not name any more', async () => {
    const { repeat, revise, snapshot } = await past();
    await revise({ inventoryId: await createInventory([]) });
    await expect(repeat(operator)).rejects.toThrow('may not use the inventory');
    expect((await repeat(admin)).snapshot.inventoryId).toBe(snapshot.inventoryId);
  });
});

describe('two inventories', () => {
  it('are compared as they are stored', async () => {
    const snapshot = async (hosts: string[]) =>
      (
        await launcher.call(SnapshotInventory, {
          inventoryId: await createInventory(hosts),
        })
      ).object;
    const [from, to] = [await snapshot(['a', 'b']), await snapshot(['b', 'c', 'd'])];
    expect(await launcher.call(CompareInventories, { from, to })).toEqual({
      added: { total: 2, names: ['c', 'd'] },
      removed: { total: 1, names: ['a'] },
      changed: { total: 0, names: [] },
      groupsChanged: false,
    });
    const gone = { sha256: 'f'.repeat(64), sizeBytes: 1 };
    await expect(launcher.call(CompareInventories, { from: gone, to })).rejects.toMatchObject({
      code: 'not_found',
    });
  });
});
