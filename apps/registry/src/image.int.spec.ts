import { fileURLToPath } from 'node:url';
import type { OrganizationRole, Principal } from '@gantry/contracts/access';
import { NoteDigest, CreateExecutionEnvironment } from '@gantry/contracts/ee';
import {
  CompareImages,
  DescribeImages,
  FindPackage,
  GetImageContents,
  InspectImage,
  ListImagePackages,
  NoteImageContents,
  NoteImageOnEngine,
  NoteInspectionFailure,
  type Image,
  type ImageContents,
} from '@gantry/contracts/image';
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
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { RegistryModule } from './app.module.js';
import { emptyContents, holding } from './testing/contents.js';

const digest = (n: number | string): string => `sha256:${String(n).repeat(64)}`;
const organizationId = newId();
const withRole = (...roles: OrganizationRole[]): Principal =>
  testPrincipal({ organizations: { [organizationId]: roles } });
const superuser = testPrincipal({ superuser: true });
const stranger = testPrincipal();
const general = (version: string) => ({
  name: 'community.general',
  version,
  path: '/usr/share/ansible/collections/ansible_collections',
});

let database: FreshDatabase;
let nats: NatsServer;
let service: RunningService;
let gateway: TestCaller;
let launcher: TestCaller;
let asAdmin: pg.Client;

beforeAll(async () => {
  const issuer = await createTestIssuer();
  [database, nats] = await Promise.all([freshDatabase(), startNats()]);
  const migrationsDir = fileURLToPath(new URL('../migrations/', import.meta.url));
  const urls = await provision({
    adminUrl: database.adminUrl,
    database: database.name,
    rolePrefix: database.rolePrefix,
    services: [{ name: 'registry', password: 'test', migrationsDir }],
  });
  asAdmin = new pg.Client({ connectionString: database.adminUrl });
  await asAdmin.connect();
  const base = testConfig({
    service: 'registry',
    postgresUrl: urls['registry']!,
    natsUrl: nats.url,
    keys: issuer.keys,
  });
  service = await startService(
    RegistryModule.forRoot({
      base,
      seed: { localImage: null, defaultIs: 'quay' },
      registries: { ca: null, mirrors: {} },
      platforms: ['linux/amd64'],
      lookupSeconds: 0,
    }),
    base,
  );
  gateway = await createTestCaller({ natsUrl: nats.url, service: 'gateway', issuer });
  launcher = await createTestCaller({ natsUrl: nats.url, service: 'launcher', issuer });
});
afterAll(async () => {
  await Promise.allSettled([gateway?.close(), launcher?.close(), asAdmin?.end()]);
  await service?.stop();
  await Promise.allSettled([nats?.stop(), database?.drop()]);
});

const register = async (name: string, owned = false): Promise<string> => {
  const input = { name, image: `quay.io/team/${name}:1`, organizationId: owned ? organizationId : null };
  return (await gateway.call(CreateExecutionEnvironment, input, { principal: superuser })).id;
};
const noteOnEngine = (executionEnvironmentId: string, of: string, image = 'quay.io/team/ee:1') =>
  launcher.call(NoteImageOnEngine, { executionEnvironmentId, image, digest: of });
const describeOne = async (of: string, principal = superuser): Promise<Image | undefined> =>
  (await gateway.call(DescribeImages, { digests: [of] }, { principal })).items[0];
const inspection = async (of: string): Promise<string | undefined> => (await describeOne(of))?.inspection;
const noteContents = (of: string, contents: ImageContents) =>
  launcher.call(NoteImageContents, { digest: of, contents });
/** An execution environment whose image, by its digest, holds this. */
const holds = async (name: string, of: string, contents: ImageContents, owned = false): Promise<string> => {
  const id = await register(name, owned);
  await launcher.call(NoteDigest, { id, image: `quay.io/team/${name}:1`, digest: of });
  await noteOnEngine(id, of);
  await noteContents(of, contents);
  return id;
};
const find = async (name: string, version: string | null, principal = superuser) =>
  (await gateway.call(FindPackage, { name, version }, { principal })).items.map(
    ({ node }) => `${node.executionEnvironment} ${node.version}`,
  );

describe('an image', () => {
  it('is known once its digest was resolved, and looked into once an engine has it', async () => {
    const id = await register('seen');
    await launcher.call(NoteDigest, { id, image: 'quay.io/team/seen:1', digest: digest(1) });
    expect(await inspection(digest(1))).toBe('none');
    const why = gateway.call(GetImageContents, { digest: digest(1) }, { principal: superuser });
    await expect(why).rejects.toMatchObject({ code: 'refused', details: { reason: 'not_inspected' } });
    await noteOnEngine(id, digest(1), 'quay.io/team/seen:1');
    await noteOnEngine(id, digest(1), 'quay.io/team/seen:1');
    expect(await describeOne(digest(1))).toMatchObject({
      references: ['quay.io/team/seen:1'],
      executionEnvironmentIds: [id],
      inspection: 'requested',
      report: null,
    });
    // The reaction to the resolved digest has noted it as well, before or after the engine did.
    await vi.waitFor(async () => {
      const { rows } = await asAdmin.query(
        `select type from registry.event_log where stream = $1 order by version`,
        [`image-${'1'.repeat(64)}`],
      );
      expect(rows.map(({ type }) => type)).toContain('image.inspection_requested');
      expect(rows.filter(({ type }) => type === 'image.inspection_requested')).toHaveLength(1);
    });
  });

  it('has contents from then on, and says what a job will stumble over', async () => {
    const contents = holding({
      ansibleRunner: null,
      collections: [{ ...general('1.0.0'), name: 'ansible.posix' }],
      systemPackages: [{ name: 'git', version: '1:2.47', arch: 'amd64' }],
    });
    await noteContents(digest(1), contents);
    expect(await describeOne(digest(1))).toMatchObject({
      inspection: 'inspected',
      report: { ansibleCore: '2.19.11', ansibleRunner: null },
      config: { user: '1000', labels: { a: 'b' } },
      packageCounts: expect.arrayContaining([{ kind: 'collection', count: 1 }]) as unknown,
      findings: [
        { code: 'no_ansible_runner', message: expect.stringContaining('add ansible-runner') as string },
      ],
    });
    const packages = await gateway.call(
      ListImagePackages,
      { digest: digest(1), search: 'GI' },
      { principal: superuser },
    );
    expect(packages.items.map(({ node }) => node)).toEqual([
      { kind: 'dpkg', name: 'git', version: '1:2.47', detail: 'amd64' },
    ]);
    expect(
      await gateway.call(GetImageContents, { digest: digest(1) }, { principal: superuser }),
    ).toMatchObject({ contents, references: ['quay.io/team/seen:1'] });
  });

  it('is looked into again when somebody wants to know; a failure keeps what was known', async () => {
    await gateway.call(InspectImage, { digest: digest(1) }, { principal: superuser });
    expect(await inspection(digest(1))).toBe('requested');
    const reason = { code: 'timed_out', message: 'It took too long.' };
    await launcher.call(NoteInspectionFailure, { digest: digest(1), reason });
    expect(await describeOne(digest(1))).toMatchObject({
      inspection: 'failed',
      failure: reason,
      report: { ansibleCore: '2.19.11' },
    });
  });

  it('takes nothing poisonous', async () => {
    const poisoned = holding({ collections: [general('1\u001b[2J')] });
    await expect(noteContents(digest(1), poisoned)).rejects.toMatchObject({ code: 'invalid' });
    await expect(
      launcher.call(NoteImageOnEngine, {
        executionEnvironmentId: newId(),
        image: 'x',
        digest: 'sha256:1; drop',
      }),
    ).rejects.toMatchObject({ code: 'invalid' });
  });
});

describe('an image of an organization', () => {
  it('is for those who may see one of its execution environments; looking into it for those who may use it', async () => {
    await holds('owned', digest(2), emptyContents, true);
    for (const principal of [stranger, withRole('member')]) {
      expect(await describeOne(digest(2), principal)).toBeUndefined();
      for (const command of [InspectImage, GetImageContents, ListImagePackages])
        await expect(gateway.call(command, { digest: digest(2) }, { principal })).rejects.toMatchObject({
          code: 'not_found',
        });
    }
    const reader = withRole('read');
    expect(await describeOne(digest(2), reader)).toMatchObject({ inspection: 'inspected' });
    const inspect = (principal: Principal) =>
      gateway.call(InspectImage, { digest: digest(2) }, { principal });
    await expect(inspect(reader)).rejects.toMatchObject({ code: 'forbidden' });
    await inspect(withRole('use'));
    expect(await inspection(digest(2))).toBe('requested');
  });
});

describe('a package', () => {
  beforeAll(async () => {
    await holds('seven', digest('a'), holding({ collections: [general('7.5.0')] }));
    await holds('eight', digest('b'), holding({ collections: [general('8.0.0')] }));
    await holds('ten', digest('c'), holding({ collections: [general('10.1.0')] }), true);
    await holds('python', digest('d'), holding({ pythonPackages: [{ name: 'Jinja2', version: '3.1.6' }] }));
  });

  it('is found by its version, compared as versions are', async () => {
    expect(await find('community.general', '< 8')).toEqual(['seven 7.5.0']);
    expect(await find('community.general', '>=8')).toEqual(['eight 8.0.0', 'ten 10.1.0']);
    expect(await find('community.general', '>7.5.0, <10')).toEqual(['eight 8.0.0']);
    expect(await find('community.general', '!=8.0.0')).toEqual(['seven 7.5.0', 'ten 10.1.0']);
    expect(await find('community.general', null)).toHaveLength(3);
    expect(await find('jinja2', '<3.1.10')).toEqual(['python 3.1.6']);
    await expect(find('community.general', '~8')).rejects.toMatchObject({ code: 'invalid' });
  });

  it('is found in what one may see, at what the tag means now', async () => {
    expect(await find('community.general', null, stranger)).toEqual(['eight 8.0.0', 'seven 7.5.0']);
    const id = await holds('moving', digest('e'), holding({ collections: [general('6.0.0')] }));
    expect(await find('community.general', '<7')).toEqual(['moving 6.0.0']);
    await launcher.call(NoteDigest, { id, image: 'quay.io/team/moving:1', digest: digest('b') });
    expect(await find('community.general', '<7')).toEqual([]);
    expect(await find('community.general', '8')).toEqual(['eight 8.0.0', 'moving 8.0.0']);
  });

  it('is found by the index', async () => {
    await asAdmin.query(
      `insert into registry.image_package select 'sha256:' || n, 'dpkg', 'p' || (n % 5000), '1', '', '1' from generate_series(1, 50000) n`,
    );
    await asAdmin.query('analyze registry.image_package');
    const { rows } = await asAdmin.query(
      `explain (format json) select * from registry.image_package package join registry.execution_environment ee on ee.digest = package.digest
       where package.kind = 'collection' and package.name = 'community.general' and package.version_key < 'A8' collate "C"`,
    );
    expect(JSON.stringify(rows)).toContain('image_package_by_version');
  });
});

describe('two images', () => {
  it('that differ by one package list that one alone', async () => {
    const difference = (principal: Principal) =>
      gateway.call(CompareImages, { from: digest('a'), to: digest('b') }, { principal });
    expect(await difference(superuser)).toEqual({
      added: [],
      removed: [],
      changed: [{ kind: 'collection', name: 'community.general', from: '7.5.0', to: '8.0.0' }],
      properties: [],
      unchanged: 0,
    });
    const hidden = gateway.call(
      CompareImages,
      { from: digest('a'), to: digest('c') },
      { principal: stranger },
    );
    await expect(hidden).rejects.toMatchObject({ code: 'not_found' });
  });
});
