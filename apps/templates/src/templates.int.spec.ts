import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Principal } from '@gantry/contracts/access';
import type { InputOf } from '@gantry/contracts/command';
import { GetDefaultEnvironments, ListOrganizations } from '@gantry/contracts/identity';
import { commandSubject } from '@gantry/contracts/subjects';
import {
  CreateInventory,
  CreateJobTemplate,
  CreateProject,
  ListInventories,
  ListInventoryHosts,
  ListJobTemplates,
  ListProjects,
  PinProject,
  ReviseJobTemplate,
  SnapshotInventory,
  STAGED_BYTES,
  StageInventory,
  SnapshotJobTemplate,
  SyncProject,
  type Project,
  type StoredObject,
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
import { eventually } from '@gantry/testkit/eventually';
import { freePort } from '@gantry/testkit/free-port';
import { startNats, type NatsServer } from '@gantry/testkit/nats';
import { freshDatabase, type FreshDatabase } from '@gantry/testkit/postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { templatesModule } from './app.module.js';
import type { TemplatesConfig } from './config.js';

const run = promisify(execFile);

let database: FreshDatabase;
let nats: NatsServer;
let home: string;
let config: TemplatesConfig;
let service: RunningService;
let gateway: TestCaller;
let launcher: TestCaller;
let daemon: ChildProcess;
let gitPort: number;

const organizationId = newId();
const admin = testPrincipal({ username: 'boss', organizations: { [organizationId]: ['admin'] } });
const operator = testPrincipal({ username: 'operator', organizations: { [organizationId]: ['execute'] } });
const reader = testPrincipal({ username: 'reader', organizations: { [organizationId]: ['read'] } });
const plain = testPrincipal({ username: 'plain' });
const foreignAdmin = testPrincipal({ username: 'foreign', organizations: { [newId()]: ['admin'] } });

/** git without anybody's settings. */
const git = async (directory: string, ...args: string[]): Promise<string> => {
  const identity = [
    '-c',
    'user.name=test',
    '-c',
    'user.email=test@localhost',
    '-c',
    'init.defaultBranch=main',
  ];
  const env = { PATH: process.env['PATH']!, HOME: home, GIT_CONFIG_NOSYSTEM: '1' };
  return (await run('git', [...identity, ...args], { cwd: directory, env })).stdout.trim();
};

/** Commits files to a repository that the daemon serves; returns the commit. */
const commit = async (name: string, files: Record<string, string>): Promise<string> => {
  const directory = join(home, 'served', name);
  await mkdir(directory, { recursive: true });
  if (!existsSync(join(directory, '.git'))) await git(directory, 'init', '--quiet');
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), text);
  }
  await git(directory, 'add', '-A');
  await git(directory, 'commit', '--quiet', '-m', 'change');
  return git(directory, 'rev-parse', 'HEAD');
};
const play = '- hosts: all\n  tasks: []\n';
const url = (name: string): string => `git://127.0.0.1:${gitPort}/${name}/.git`;

beforeAll(async () => {
  [database, nats, home, gitPort] = await Promise.all([
    freshDatabase(),
    startNats(),
    mkdtemp(join(tmpdir(), 'gantry-templates-')),
    freePort(),
  ]);
  await mkdir(join(home, 'served'));
  const { stdout: gitCore } = await run('git', ['--exec-path']);
  // The daemon itself, not git's wrapper: its process id is the one to end.
  daemon = spawn(
    join(gitCore.trim(), 'git-daemon'),
    [
      '--export-all',
      `--base-path=${join(home, 'served')}`,
      '--listen=127.0.0.1',
      `--port=${gitPort}`,
      '--reuseaddr',
    ],
    { stdio: 'ignore' },
  );
  await commit('playbooks', { 'site.yml': play });
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
  config = {
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
  // Identity's part at a launch: no organization has a default execution environment.
  service.kit.nats.subscribe(commandSubject(GetDefaultEnvironments), {
    callback: (_, message) => void message.respond(JSON.stringify({ ok: { items: [] } })),
  });
  gateway = await createTestCaller({ natsUrl: nats.url, service: 'gateway', issuer });
  launcher = await createTestCaller({ natsUrl: nats.url, service: 'launcher', issuer });
});

afterAll(async () => {
  daemon?.kill('SIGTERM');
  await gateway?.close();
  await launcher?.close();
  await service?.stop();
  await nats?.stop();
  await database?.drop();
  await rm(home, { recursive: true, force: true });
});

let names = 0;
const uniqueName = (): string => `thing ${++names}`;

const createProject = async (
  over: Partial<InputOf<typeof CreateProject>> & { scmUrl: string },
  principal: Principal = admin,
): Promise<string> =>
  (await gateway.call(CreateProject, { name: uniqueName(), organizationId, ...over }, { principal })).id;

const projectOnce = (id: string, condition: (project: Project) => boolean): Promise<Project> =>
  eventually(
    async () => {
      const { items } = await gateway.call(ListProjects, { ids: [id] }, { principal: admin });
      const project = items[0]?.node;
      return project && condition(project) ? project : null;
    },
    { timeoutMs: 30_000, what: `project ${id}` },
  );
const synced = (id: string): Promise<Project> => projectOnce(id, ({ status }) => status === 'successful');
const failed = (id: string): Promise<Project> => projectOnce(id, ({ status }) => status === 'failed');

const createInventory = async (
  over: Partial<InputOf<typeof CreateInventory>> = {},
  principal: Principal = admin,
): Promise<string> =>
  (
    await gateway.call(
      CreateInventory,
      { name: uniqueName(), organizationId, hosts: [{ name: 'localhost' }], ...over },
      { principal },
    )
  ).id;

const bytesOf = async (object: StoredObject): Promise<Buffer> => {
  const pieces: Buffer[] = [];
  for await (const piece of (await service.kit.objects.get(object.sha256))!) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
};

const filesOf = async (object: StoredObject): Promise<string[]> => {
  const file = join(home, 'archive.tar');
  await writeFile(file, await bytesOf(object));
  return (await run('tar', ['-tf', file])).stdout
    .trim()
    .split('\n')
    .filter((path) => !path.endsWith('/'))
    .sort();
};

describe('a project', () => {
  it('is fetched when it is created, and knows its playbooks', async () => {
    const head = await commit('playbooks', {
      'site.yml': play,
      'playbooks/deploy.yaml': `---\n${play}`,
      'all.yml': '- import_playbook: site.yml\n',
      'roles/web/tasks/main.yml': play,
      'group_vars/all.yml': 'hosts: 1\n',
      'vars.yml': 'a: 1\n',
      'README.md': '- hosts: all\n',
    });
    const project = await synced(await createProject({ scmUrl: url('playbooks') }));
    expect(project).toMatchObject({
      commit: head,
      playbooks: ['all.yml', 'playbooks/deploy.yaml', 'site.yml'],
      lastError: null,
    });
  });

  it('is pinned to the commit it was last synced at, with an archive of it', async () => {
    const first = await commit('pins', { 'site.yml': play });
    const id = await createProject({ scmUrl: url('pins') });
    await synced(id);
    const second = await commit('pins', { 'more.yml': play });
    const pinned = await launcher.call(PinProject, { projectId: id, scmBranch: '' });
    expect(pinned).toMatchObject({ commit: first, branch: 'main' });
    expect(await filesOf(pinned.archive)).toEqual(['site.yml']);
    expect(await gateway.call(SyncProject, { id }, { principal: admin })).toEqual({ commit: second });
    expect(
      await filesOf((await launcher.call(PinProject, { projectId: id, scmBranch: '' })).archive),
    ).toEqual(['more.yml', 'site.yml']);
  });

  it('with update on launch is pinned to what is there now', async () => {
    await commit('fresh', { 'site.yml': play });
    const id = await createProject({ scmUrl: url('fresh'), scmUpdateOnLaunch: true });
    await synced(id);
    const now = await commit('fresh', { 'site.yml': `${play}# changed\n` });
    const pins = await Promise.all(
      [1, 2, 3].map(() => launcher.call(PinProject, { projectId: id, scmBranch: '' })),
    );
    expect(pins.map((pinned) => pinned.commit)).toEqual([now, now, now]);
    expect((await synced(id)).commit).toBe(now);
  });

  it('is pinned to a branch, a tag or a commit that is asked for', async () => {
    const old = await commit('refs', { 'site.yml': play });
    const directory = join(home, 'served', 'refs');
    await git(directory, 'tag', '-a', '-m', 'one', 'v1');
    await git(directory, 'branch', 'feature/x');
    await commit('refs', { 'two.yml': play });
    const id = await createProject({ scmUrl: url('refs') });
    await synced(id);
    for (const scmBranch of ['v1', 'feature/x', old, old.slice(0, 10)]) {
      expect((await launcher.call(PinProject, { projectId: id, scmBranch })).commit).toBe(old);
    }
    await expect(launcher.call(PinProject, { projectId: id, scmBranch: 'nowhere' })).rejects.toThrow(
      /has no branch, tag or commit called nowhere/,
    );
    await expect(
      launcher.call(PinProject, { projectId: id, scmBranch: '--output=/tmp/x' }),
    ).rejects.toMatchObject({ code: 'invalid' });
  });

  it('whose archive the object store lost is archived again', async () => {
    await commit('lost', { 'site.yml': play, 'collections/requirements.yml': 'collections: []\n' });
    const id = await createProject({ scmUrl: url('lost') });
    await synced(id);
    const before = await launcher.call(PinProject, { projectId: id, scmBranch: '' });
    expect(before.collectionsLock?.file).toBe('collections/requirements.yml');
    const { Objm } = await import('@nats-io/obj');
    await (await new Objm(service.kit.nats).open('GANTRY_OBJECTS')).delete(before.archive.sha256);
    expect(await service.kit.objects.has(before.archive.sha256)).toBe(false);
    expect(await launcher.call(PinProject, { projectId: id, scmBranch: '' })).toEqual(before);
    expect(await filesOf(before.archive)).toEqual(['collections/requirements.yml', 'site.yml']);
  });

  it('reaches a job whole, whatever .gitattributes say of archives', async () => {
    await commit('whole', { 'site.yml': play, '.gitattributes': 'site.yml export-ignore\n' });
    const id = await createProject({ scmUrl: url('whole') });
    const { archive } = await launcher.call(PinProject, { projectId: id, scmBranch: '' });
    expect(await filesOf(archive)).toEqual(['.gitattributes', 'site.yml']);
  });

  it('survives the loss of its mirror', async () => {
    const head = await commit('mirror', { 'site.yml': play });
    const id = await createProject({ scmUrl: url('mirror') });
    await synced(id);
    await rm(join(config.git.directory, 'git', `${id}.git`), { recursive: true });
    expect((await launcher.call(PinProject, { projectId: id, scmBranch: '' })).commit).toBe(head);
    expect(await gateway.call(SyncProject, { id }, { principal: admin })).toEqual({ commit: head });
  });
});

describe('a git server', () => {
  it('that does not answer fails the sync with a sentence, not the creation, and the pin too', async () => {
    const port = await freePort();
    const id = await createProject({ scmUrl: `git://127.0.0.1:${port}/x` });
    const sentence = `127.0.0.1 port ${port} refuses connections: nothing listens there. Check the URL, the server and the firewall.`;
    expect((await failed(id)).lastError).toBe(sentence);
    const refusal = { code: 'refused', message: sentence };
    await expect(launcher.call(PinProject, { projectId: id, scmBranch: '' })).rejects.toMatchObject(refusal);
    await expect(gateway.call(SyncProject, { id }, { principal: admin })).rejects.toMatchObject(refusal);
  });
});

describe('a hostile project', () => {
  it.each([
    'ext::sh -c "touch /tmp/gantry-pwned"',
    '--upload-pack=touch /tmp/gantry-pwned',
    'ssh://-oProxyCommand=touch${IFS}x/y',
    'file:///etc',
    'https://user:secret@host/x',
  ])('with the URL %s is refused', async (scmUrl) => {
    await expect(createProject({ scmUrl })).rejects.toMatchObject({ code: 'invalid' });
  });

  it('cannot run hooks, filters or submodules', async () => {
    await commit('hostile', {
      'site.yml': play,
      '.gitattributes': '* filter=evil\n',
      '.gitmodules': '[submodule "x"]\n\tpath = x\n\turl = -u./payload\n',
      'hooks/post-checkout': '#!/bin/sh\ntouch /tmp/gantry-pwned\n',
    });
    expect((await synced(await createProject({ scmUrl: url('hostile') }))).playbooks).toEqual(['site.yml']);
    expect(existsSync('/tmp/gantry-pwned')).toBe(false);
  });
});

describe('an inventory', () => {
  it('is listed with its hosts, page by page', async () => {
    const hosts = ['b', 'a', 'c'].map((name) => ({ name, variables: { n: name }, enabled: name !== 'c' }));
    const id = await createInventory({
      hosts,
      groups: [{ name: 'web', hosts: ['a', 'b'] }],
      variables: { x: 1 },
    });
    const { items } = await gateway.call(ListInventories, { ids: [id] }, { principal: reader });
    expect(items[0]?.node).toMatchObject({ totalHosts: 3, totalGroups: 1, variables: { x: 1 } });
    const first = await gateway.call(
      ListInventoryHosts,
      { inventoryId: id, first: 2 },
      { principal: reader },
    );
    expect(first.items.map(({ node }) => node.name)).toEqual(['a', 'b']);
    const rest = await gateway.call(
      ListInventoryHosts,
      { inventoryId: id, first: 2, after: first.items[1]!.cursor },
      { principal: reader },
    );
    expect(rest.items.map(({ node }) => node)).toEqual([
      { inventoryId: id, name: 'c', variables: { n: 'c' }, enabled: false },
    ]);
    const { object, totalHosts } = await launcher.call(SnapshotInventory, { inventoryId: id });
    expect(totalHosts).toBe(2);
    expect(JSON.parse((await bytesOf(object)).toString())).toEqual({
      _meta: { hostvars: { a: { n: 'a' }, b: { n: 'b' } } },
      all: { children: ['ungrouped', 'web'], vars: { x: 1 } },
      ungrouped: { hosts: [] },
      web: { hosts: ['a', 'b'] },
    });
    expect(await launcher.call(SnapshotInventory, { inventoryId: id })).toEqual({ object, totalHosts });
  });

  /** As the gateway sends what does not fit into a message. */
  const stage = async (contents: object, principal: Principal = admin, uploadId = newId()) => {
    const bytes = Buffer.from(JSON.stringify(contents));
    const parts = Math.ceil(bytes.length / STAGED_BYTES);
    for (let part = 0; part < parts; part++) {
      const data = bytes.subarray(part * STAGED_BYTES, (part + 1) * STAGED_BYTES).toString('base64');
      await gateway.call(StageInventory, { organizationId, uploadId, part, data }, { principal });
    }
    return { uploadId, parts };
  };

  it('is made of pieces only if all of them came from whoever makes it', async () => {
    const staged = await stage({ hosts: [{ name: 'a' }] });
    await expect(stage({ hosts: [] }, reader)).rejects.toMatchObject({ code: 'forbidden' });
    await expect(createInventory({ staged: { ...staged, parts: 2 } })).rejects.toThrow('did not all arrive');
    const other = testPrincipal({ organizations: { [organizationId]: ['admin'] } });
    await expect(createInventory({ staged }, other)).rejects.toThrow('did not all arrive');
    await expect(stage({}, other, staged.uploadId)).rejects.toMatchObject({ code: 'invalid' });
    const id = await createInventory({ staged });
    expect((await launcher.call(SnapshotInventory, { inventoryId: id })).totalHosts).toBe(1);
    await expect(createInventory({ staged })).rejects.toThrow('did not all arrive');
    const wrong = await stage({ hosts: [{ name: 'a b' }] });
    await expect(createInventory({ staged: wrong })).rejects.toThrow('hosts.0.name');
  });

  it('of 60,000 hosts is stored whole', async () => {
    const variables = { note: 'x'.repeat(150) };
    const hosts = Array.from({ length: 60_000 }, (_, index) => ({ name: `host${index}`, variables }));
    const even = hosts.filter((_, index) => index % 2 === 0).map(({ name }) => name);
    const groups = [{ name: 'even', hosts: even }];
    const id = await createInventory({ staged: await stage({ hosts, groups }) });
    const { object, totalHosts } = await launcher.call(SnapshotInventory, { inventoryId: id });
    expect(totalHosts).toBe(60_000);
    type Listing = Record<string, { hosts: string[]; hostvars: object }>;
    const listing = JSON.parse((await bytesOf(object)).toString()) as Listing;
    expect(Object.keys(listing['_meta']!.hostvars)).toHaveLength(60_000);
    expect(listing['even']!.hosts).toHaveLength(30_000);
    expect(listing['ungrouped']!.hosts).toHaveLength(30_000);
  });

  it('that is wrong is refused and leaves nothing', async () => {
    const name = uniqueName();
    await expect(createInventory({ name, groups: [{ name: 'g', hosts: ['nobody'] }] })).rejects.toThrow(
      'has the host nobody',
    );
    await createInventory({ name });
    await expect(createInventory({ name })).rejects.toMatchObject({ code: 'conflict' });
  });
});

describe('a job template', () => {
  const make = async (
    over: Partial<InputOf<typeof CreateJobTemplate>> = {},
    principal: Principal = admin,
  ) => {
    const projectId = over.projectId ?? (await createProject({ scmUrl: url('playbooks') }));
    const inventoryId = over.inventoryId === undefined ? await createInventory() : over.inventoryId;
    const input = {
      name: uniqueName(),
      organizationId,
      playbook: 'site.yml',
      ...over,
      projectId,
      inventoryId,
    };
    return { input, id: (await gateway.call(CreateJobTemplate, input, { principal })).id };
  };

  it('is snapshot by id or name, with prompts merged', async () => {
    const { id, input } = await make({ extraVars: { a: 1 }, askOnLaunch: ['variables', 'limit'] });
    const prompts = { extraVars: { b: 2 }, limit: 'web', forks: 0 };
    const byId = await launcher.call(
      SnapshotJobTemplate,
      { jobTemplate: id, prompts },
      { principal: operator },
    );
    expect(byId).toMatchObject({
      jobTemplateId: id,
      jobTemplateVersion: 1,
      extraVars: { a: 1, b: 2 },
      limit: 'web',
      inventoryId: input.inventoryId,
    });
    expect(
      await launcher.call(SnapshotJobTemplate, { jobTemplate: input.name, prompts }, { principal: operator }),
    ).toEqual(byId);
    await expect(
      launcher.call(SnapshotJobTemplate, { jobTemplate: id, prompts: { forks: 9 } }, { principal: operator }),
    ).rejects.toThrow('forks');
  });

  it('is revised to a new version, by whoever has seen the last', async () => {
    const { id, input } = await make();
    expect(
      await gateway.call(
        ReviseJobTemplate,
        { id, ...input, forks: 5, expectedVersion: 1 },
        { principal: admin },
      ),
    ).toEqual({ version: 2 });
    await expect(
      gateway.call(ReviseJobTemplate, { id, ...input, forks: 6, expectedVersion: 1 }, { principal: admin }),
    ).rejects.toMatchObject({ code: 'conflict' });
    const other = await make();
    await expect(
      gateway.call(ReviseJobTemplate, { id, ...input, name: other.input.name }, { principal: admin }),
    ).rejects.toMatchObject({ code: 'conflict' });
    await gateway.call(
      ReviseJobTemplate,
      { id, ...input, name: `${input.name} renamed` },
      { principal: admin },
    );
    await make({ name: input.name });
    const { items } = await gateway.call(ListJobTemplates, { ids: [id] }, { principal: reader });
    expect(items[0]?.node).toMatchObject({ name: `${input.name} renamed`, version: 3, forks: 0 });
  });

  it('names only what is there and may be used', async () => {
    await expect(make({ projectId: newId() })).rejects.toMatchObject({ code: 'not_found' });
    await expect(make({ inventoryId: newId() })).rejects.toMatchObject({ code: 'not_found' });
    const elsewhere = newId();
    const both = testPrincipal({ organizations: { [elsewhere]: ['admin'], [organizationId]: ['read'] } });
    const projectId = await createProject({ scmUrl: url('playbooks') });
    await expect(make({ organizationId: elsewhere, projectId }, both)).rejects.toThrow(
      'may not use the project',
    );
    await expect(make({ organizationId: elsewhere, projectId }, foreignAdmin)).rejects.toMatchObject({
      code: 'forbidden',
    });
  });

  it('may be asked for an inventory only if the launcher may use it', async () => {
    const { id } = await make({ inventoryId: null, askOnLaunch: ['inventory'] });
    const inventoryId = await createInventory();
    const launch = (principal: Principal) =>
      launcher.call(SnapshotJobTemplate, { jobTemplate: id, prompts: { inventoryId } }, { principal });
    await expect(launch(operator)).rejects.toMatchObject({ code: 'forbidden' });
    expect(await launch(admin)).toMatchObject({ inventoryId });
  });
});

describe('somebody without the role', () => {
  it('changes nothing and starts nothing', async () => {
    const projectId = await createProject({ scmUrl: url('playbooks') });
    await synced(projectId);
    const inventoryId = await createInventory();
    const input = { name: uniqueName(), organizationId, playbook: 'site.yml', projectId, inventoryId };
    const { id } = await gateway.call(CreateJobTemplate, input, { principal: admin });
    for (const principal of [plain, foreignAdmin, reader, operator]) {
      await expect(createProject({ scmUrl: url('playbooks') }, principal)).rejects.toMatchObject({
        code: 'forbidden',
      });
      await expect(createInventory({}, principal)).rejects.toMatchObject({ code: 'forbidden' });
      await expect(
        gateway.call(CreateJobTemplate, { ...input, name: uniqueName() }, { principal }),
      ).rejects.toMatchObject({ code: 'forbidden' });
    }
    // What one may not read is not there.
    for (const principal of [plain, foreignAdmin]) {
      await expect(gateway.call(SyncProject, { id: projectId }, { principal })).rejects.toMatchObject({
        code: 'not_found',
      });
      await expect(gateway.call(ReviseJobTemplate, { id, ...input }, { principal })).rejects.toMatchObject({
        code: 'not_found',
      });
      await expect(gateway.call(ListInventoryHosts, { inventoryId }, { principal })).rejects.toMatchObject({
        code: 'not_found',
      });
      await expect(
        launcher.call(SnapshotJobTemplate, { jobTemplate: id, prompts: {} }, { principal }),
      ).rejects.toMatchObject({ code: 'not_found' });
      for (const list of [ListProjects, ListInventories, ListJobTemplates]) {
        expect((await gateway.call(list, { first: 200 }, { principal })).totalCount).toBe(0);
      }
    }
    await expect(gateway.call(SyncProject, { id: projectId }, { principal: reader })).rejects.toMatchObject({
      code: 'forbidden',
    });
    await expect(
      launcher.call(SnapshotJobTemplate, { jobTemplate: id, prompts: {} }, { principal: reader }),
    ).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('and without an assertion is told to log in', async () => {
    await expect(gateway.call(ListProjects, {})).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(
      launcher.call(SnapshotJobTemplate, { jobTemplate: newId(), prompts: {} }),
    ).rejects.toMatchObject({ code: 'unauthenticated' });
  });
});

describe('a superuser', () => {
  it('makes things in organizations that are there, and in no others', async () => {
    const { nats: connection } = service.kit;
    // Identity's part, as far as it is asked.
    const asked = connection.subscribe(commandSubject(ListOrganizations), {
      callback: (_, message) => {
        const { ids } = message.json<{ ids: string[] }>();
        const found = ids.includes(organizationId) && message.headers?.has('Gantry-Assertion');
        message.respond(JSON.stringify({ ok: { items: [], hasNextPage: false, totalCount: found ? 1 : 0 } }));
      },
    });
    const superuser = testPrincipal({ superuser: true });
    await createInventory({}, superuser);
    await expect(createInventory({ organizationId: newId() }, superuser)).rejects.toThrow(
      'There is no organization',
    );
    asked.unsubscribe();
    await expect(createInventory({}, superuser)).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('a creating command', () => {
  it('given twice with one key creates once', async () => {
    const input = { name: uniqueName(), organizationId, scmUrl: url('playbooks'), idempotencyKey: 'k' };
    const first = await gateway.call(CreateProject, input, { principal: admin });
    expect(await gateway.call(CreateProject, input, { principal: admin })).toEqual({
      id: first.id,
      created: false,
    });
  });
});
