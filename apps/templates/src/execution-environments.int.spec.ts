/** Whose execution environment a job gets, and who names one. Identity and the registry are played as far as they are asked. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CommandSpec, OutputOf, ReceivedBy } from '@gantry/contracts/command';
import { ListExecutionEnvironments } from '@gantry/contracts/ee';
import { GetDefaultEnvironments } from '@gantry/contracts/identity';
import { commandSubject } from '@gantry/contracts/subjects';
import {
  CreateInventory,
  CreateJobTemplate,
  CreateProject,
  ListProjects,
  ListTemplatesUsingEnvironment,
  SetProjectDefaultEnvironment,
  SnapshotJobTemplate,
  type LaunchPrompts,
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
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { templatesModule } from './app.module.js';
import type { TemplatesConfig } from './config.js';

const organizationId = newId();
const otherOrganizationId = newId();
const admin = testPrincipal({
  username: 'boss',
  organizations: { [organizationId]: ['admin'], [otherOrganizationId]: ['admin'] },
});
const operator = testPrincipal({ organizations: { [organizationId]: ['execute'] } });

let database: FreshDatabase;
let nats: NatsServer;
let home: string;
let service: RunningService;
let gateway: TestCaller;
let launcher: TestCaller;
let registry: TestCaller;
const organizationDefaults = new Map<string, string>();
/** Whose an execution environment is; those that are not here are not seen. */
const owners = new Map<string, string | null>();
let identityAsked = 0;

const play = <C extends CommandSpec>(command: C, answer: (input: ReceivedBy<C>) => OutputOf<C>): void => {
  service.kit.nats.subscribe(commandSubject(command), {
    callback: (_, message) => {
      const ok = answer(command.input.parse(message.json()) as ReceivedBy<C>);
      message.respond(JSON.stringify({ ok }));
    },
  });
};

beforeAll(async () => {
  [database, nats, home] = await Promise.all([
    freshDatabase(),
    startNats(),
    mkdtemp(join(tmpdir(), 'gantry-templates-')),
  ]);
  const urls = await provision({
    adminUrl: database.adminUrl,
    database: database.name,
    rolePrefix: database.rolePrefix,
    services: [
      {
        name: 'templates',
        password: 'test-templates',
        migrationsDir: fileURLToPath(new URL('../migrations/', import.meta.url)),
      },
    ],
  });
  const issuer = await createTestIssuer();
  const config: TemplatesConfig = {
    base: testConfig({
      service: 'templates',
      postgresUrl: urls['templates']!,
      natsUrl: nats.url,
      keys: issuer.keys,
    }),
    git: {
      directory: join(home, 'data'),
      allowFile: false,
      silenceSeconds: 2,
      environment: { PATH: process.env['PATH']! },
      proxied: false,
    },
  };
  service = await startService(templatesModule(config), config.base);
  const caller = (name: 'gateway' | 'launcher' | 'registry') =>
    createTestCaller({ natsUrl: nats.url, service: name, issuer });
  [gateway, launcher, registry] = await Promise.all([
    caller('gateway'),
    caller('launcher'),
    caller('registry'),
  ]);
  play(GetDefaultEnvironments, ({ organizationIds }) => {
    identityAsked += 1;
    const items = organizationIds.flatMap((id) => {
      const executionEnvironmentId = organizationDefaults.get(id);
      return executionEnvironmentId ? [{ organizationId: id, executionEnvironmentId }] : [];
    });
    return { items };
  });
  play(ListExecutionEnvironments, ({ ids }) => {
    const items = (ids ?? []).flatMap((id) =>
      owners.has(id) ? [{ cursor: '', node: shown(id, owners.get(id)!) }] : [],
    );
    return { items, hasNextPage: false, totalCount: items.length };
  });
});
afterAll(async () => {
  await Promise.allSettled([gateway?.close(), launcher?.close(), registry?.close()]);
  await service?.stop();
  await nats?.stop();
  await database?.drop();
  await rm(home, { recursive: true, force: true });
});
beforeEach(() => organizationDefaults.clear());

const shown = (id: string, owner: string | null) => ({
  id,
  name: 'EE',
  description: '',
  organizationId: owner,
  image: 'localhost/ee:1',
  version: 1,
  managed: false,
  isDefault: false,
  digest: null,
  digestSince: null,
  tagMoved: null,
  lookup: null,
  createdAt: '2026-11-28T00:00:00.000Z',
});
const environment = (owner: string | null = null): string => {
  const id = newId();
  owners.set(id, owner);
  return id;
};
const createProject = async (defaultEnvironmentId: string | null = null): Promise<string> =>
  (
    await gateway.call(
      CreateProject,
      { name: newId(), organizationId, scmUrl: 'https://git.invalid/x.git', defaultEnvironmentId },
      { principal: admin },
    )
  ).id;
const createInventory = async (owner = organizationId): Promise<string> =>
  (await gateway.call(CreateInventory, { name: newId(), organizationId: owner }, { principal: admin })).id;
const createTemplate = async (more: {
  executionEnvironmentId?: string | null;
  projectId?: string;
  inventoryId?: string;
}): Promise<string> =>
  (
    await gateway.call(
      CreateJobTemplate,
      {
        name: newId(),
        organizationId,
        playbook: 'site.yml',
        projectId: more.projectId ?? (await createProject()),
        inventoryId: more.inventoryId ?? (await createInventory()),
        executionEnvironmentId: more.executionEnvironmentId,
        askOnLaunch: ['executionEnvironment'],
      },
      { principal: admin },
    )
  ).id;
const candidates = async (jobTemplate: string, prompts: LaunchPrompts = {}) =>
  (await launcher.call(SnapshotJobTemplate, { jobTemplate, prompts }, { principal: operator }))
    .executionEnvironments;

describe('the execution environment of a job', () => {
  it("is the launch's, else the template's; identity is not asked then", async () => {
    const [own, prompted] = [environment(), environment()];
    const template = await createTemplate({ executionEnvironmentId: own });
    const before = identityAsked;
    expect(await candidates(template, { executionEnvironmentId: prompted })).toEqual([
      { from: 'launch', executionEnvironmentId: prompted },
    ]);
    expect(await candidates(template)).toEqual([{ from: 'job_template', executionEnvironmentId: own }]);
    expect(identityAsked).toBe(before);
  });

  it("is the project's default, else the organization's, else that of the inventory's organization", async () => {
    const [ofProject, ofOrganization, ofOther] = [environment(), environment(), environment()];
    organizationDefaults.set(organizationId, ofOrganization).set(otherOrganizationId, ofOther);
    const projectId = await createProject(ofProject);
    const inventoryId = await createInventory(otherOrganizationId);
    const template = await createTemplate({ projectId, inventoryId });
    expect(await candidates(template)).toEqual([
      { from: 'project', executionEnvironmentId: ofProject, organizationId },
    ]);
    const take = { id: projectId, executionEnvironmentId: null };
    await gateway.call(SetProjectDefaultEnvironment, take, { principal: admin });
    expect(await candidates(template)).toEqual([
      { from: 'organization', executionEnvironmentId: ofOrganization, organizationId },
    ]);
    organizationDefaults.delete(organizationId);
    expect(await candidates(template)).toEqual([
      {
        from: 'inventory_organization',
        executionEnvironmentId: ofOther,
        organizationId: otherOrganizationId,
      },
    ]);
    organizationDefaults.clear();
    expect(await candidates(template)).toEqual([]);
  });
});

describe('a job template', () => {
  it('names execution environments that are there, and those of another organization for who may use them', async () => {
    for (const executionEnvironmentId of [environment(), environment(organizationId)])
      await createTemplate({ executionEnvironmentId });
    await createTemplate({ executionEnvironmentId: environment(otherOrganizationId) });
    await expect(createTemplate({ executionEnvironmentId: newId() })).rejects.toMatchObject({
      code: 'not_found',
      details: { field: 'executionEnvironmentId' },
    });
    await expect(createTemplate({ executionEnvironmentId: environment(newId()) })).rejects.toMatchObject({
      code: 'refused',
      details: { reason: 'other_organization' },
    });
  });
});

describe('the default of a project', () => {
  const set = (id: string, executionEnvironmentId: string | null, principal = admin) =>
    gateway.call(SetProjectDefaultEnvironment, { id, executionEnvironmentId }, { principal });

  it('is a global execution environment, or one of its own organization', async () => {
    const id = await createProject();
    for (const executionEnvironmentId of [environment(), environment(organizationId), null]) {
      await set(id, executionEnvironmentId);
      const { items } = await gateway.call(ListProjects, { ids: [id] }, { principal: admin });
      expect(items[0]!.node.defaultEnvironmentId).toBe(executionEnvironmentId);
    }
    const foreign = { code: 'refused', details: { reason: 'other_organization' } };
    await expect(set(id, environment(otherOrganizationId))).rejects.toMatchObject(foreign);
    await expect(createProject(environment(otherOrganizationId))).rejects.toMatchObject(foreign);
    await expect(set(id, newId())).rejects.toMatchObject({ code: 'not_found' });
  });

  it('is chosen by administrators of its organization', async () => {
    const id = await createProject();
    for (const role of ['use', 'execute', 'update', 'read', 'auditor'] as const) {
      const principal = testPrincipal({ organizations: { [organizationId]: [role] } });
      await expect(set(id, environment(), principal)).rejects.toMatchObject({ code: 'forbidden' });
    }
    await expect(set(id, environment(), testPrincipal())).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('who uses an execution environment', () => {
  it('is named to who may see them, and counted for others', async () => {
    const executionEnvironmentId = environment();
    const projectId = await createProject(executionEnvironmentId);
    const template = await createTemplate({ executionEnvironmentId });
    const users = (principal = admin) =>
      registry.call(ListTemplatesUsingEnvironment, { executionEnvironmentId }, { principal });
    const { items, totalCount } = await users();
    expect(totalCount).toBe(2);
    expect(items.map(({ kind, id }) => ({ kind, id }))).toEqual([
      { kind: 'job_template', id: template },
      { kind: 'project', id: projectId },
    ]);
    expect(await users(testPrincipal())).toEqual({ items: [], totalCount: 2 });
    const nobody = { executionEnvironmentId: environment() };
    expect(await registry.call(ListTemplatesUsingEnvironment, nobody, { principal: admin })).toEqual({
      items: [],
      totalCount: 0,
    });
  });
});
