/** Jobs whose images come from a real registry, with a password and TLS by a private CA, to a podman that Gantry has started. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deleteManifest, pushImage } from '@gantry/testkit/oci-image';
import { startRegistry, type TestRegistry } from '@gantry/testkit/registry';
import { openTestCa } from '@gantry/testkit/test-ca';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ask, containersOf, engine, gantry, getJob, launch, machine, over, world, type Job } from './api.js';
import { make, makeTemplate, seeded } from './objects.js';

let registry: TestRegistry;
let stranger: TestRegistry;
let folder: string;
const used = new Set<string>();

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gantry-registry-'));
  [registry, stranger] = await Promise.all([
    startRegistry({ ca: openTestCa(world.registryCa) }),
    startRegistry(),
  ]);
});
afterAll(async () => {
  for (const image of used) {
    try {
      engine('rmi', '--force', image);
    } catch {
      // It never came.
    }
  }
  await Promise.allSettled([registry?.stop(), stranger?.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

/** Pushes the local execution environment under a tag, made different from any that the engine has by a label; returns its digest. */
const pushEe = (tag: string): string => {
  const image = `${registry.host}/team/ee:${tag}`;
  const recipe = join(folder, 'Containerfile');
  writeFileSync(recipe, `FROM ${machine().eeImage}\nLABEL gantry.test=${randomUUID()}\n`);
  engine('build', '--quiet', '--pull=never', '--tag', image, '--file', recipe, folder);
  const trust = ['--cert-dir', registry.certsFolder, '--authfile', registry.authFile];
  // What is pushed is compressed, and so has another digest than what was built.
  engine('push', '--quiet', ...trust, '--digestfile', join(folder, 'digest'), image);
  const digest = readFileSync(join(folder, 'digest'), 'utf8').trim();
  // So that a job has to pull it.
  engine('rmi', image);
  used.add(`${registry.host}/team/ee@${digest}`);
  return digest;
};

const credential = async (of: TestRegistry, password = of.login!.password): Promise<string> =>
  make('createCredential', 'CreateCredentialInput', {
    name: `registry ${randomUUID()}`,
    organizationId: (await seeded()).organizationId,
    credentialType: 'registry',
    inputs: { host: of.host, username: of.login!.username, password },
  });
const environment = async (image: string, credentialId: string): Promise<string> =>
  make('createExecutionEnvironment', 'CreateExecutionEnvironmentInput', {
    name: `test ${randomUUID()}`,
    organizationId: (await seeded()).organizationId,
    image,
    credentialId,
    pull: 'MISSING',
  });
const run = async (executionEnvironmentId: string): Promise<Job> =>
  over(await launch(await makeTemplate('site.yml', { executionEnvironmentId })));
const types = (job: Job): string[] => job.timeline.map(({ type }) => type);

/** What every job must be that cannot have its image. */
const endsFor = (job: Job, code: string, words: RegExp): void => {
  expect(job).toMatchObject({ status: 'ERROR', reason: { code } });
  expect(job.reason!.message).toMatch(words);
  expect(types(job)).not.toContain('job.pod_created');
  expect(containersOf(job.id)).toEqual([]);
  expect(JSON.stringify(job)).not.toContain(registry.login!.password);
};

describe('a job whose tag is in a registry', () => {
  it('pulls the digest that the tag means, and names its own when the tag has moved', async () => {
    const first = pushEe('stable');
    const ee = await environment(`${registry.host}/team/ee:stable`, await credential(registry));
    const one = await run(ee);
    expect(one).toMatchObject({ status: 'SUCCESSFUL', pinned: { image: { digest: first } } });
    expect(types(one)).toEqual(expect.arrayContaining(['job.image_pull_started', 'job.image_pulled']));

    const second = pushEe('stable');
    expect(second).not.toBe(first);
    const two = await run(ee);
    expect(two).toMatchObject({ status: 'SUCCESSFUL', pinned: { image: { digest: second } } });
    expect((await getJob(one.id)).pinned!.image.digest).toBe(first);

    const again = await run(ee);
    expect(types(again)).toContain('job.image_cached');
    expect(types(again)).not.toContain('job.image_pull_started');

    await registry.pause();
    const offline = await run(ee);
    await registry.resume();
    expect(offline).toMatchObject({ status: 'SUCCESSFUL', pinned: { image: { digest: second } } });
    const cached = offline.timeline.find(({ type }) => type === 'job.image_cached');
    expect(cached?.data).toMatchObject({ note: expect.stringContaining('registry is away') });
  });
});

describe('a job that cannot have its image ends with the reason, and leaves no container', () => {
  const none = `sha256:${'0'.repeat(64)}`;

  it('for a wrong password', async () => {
    await pushImage(registry, { repository: 'team/closed', tag: '1' });
    const ee = await environment(`${registry.host}/team/closed:1`, await credential(registry, 'not the one'));
    endsFor(await run(ee), 'registry_unauthorized', /authentication required/);
  });

  it('for a tag, and for a digest, that is not there', async () => {
    const login = await credential(registry);
    for (const reference of [`team/ee:no-such-tag`, `team/ee@${none}`]) {
      const job = await run(await environment(`${registry.host}/${reference}`, login));
      endsFor(job, 'image_not_found', /manifest unknown/);
    }
  });

  it('for a registry that is stopped', async () => {
    const ee = await environment(`${registry.host}/team/later:1`, await credential(registry));
    await registry.pause();
    const job = await run(ee);
    await registry.resume();
    endsFor(job, 'image_registry_unreachable', /connection refused/);
    expect(types(job).filter((type) => type === 'job.image_pull_retried')).toHaveLength(2);
  });

  it('for a certificate by an authority that nobody trusts', async () => {
    await pushImage(stranger, { repository: 'team/ee', tag: '1' });
    const ee = await environment(`${stranger.host}/team/ee:1`, await credential(stranger));
    endsFor(await run(ee), 'registry_untrusted', /certificate/);
  });

  it('for another platform', async () => {
    await pushImage(registry, { repository: 'team/riscv', tag: '1', architecture: 'riscv64' });
    const ee = await environment(`${registry.host}/team/riscv:1`, await credential(registry));
    endsFor(await run(ee), 'wrong_platform', /linux\/riscv64/);
  });

  it('that its registry knew, and does not give any more', async () => {
    const { digest } = await pushImage(registry, { repository: 'team/gone', tag: '1' });
    const [right, wrong] = [await credential(registry), await credential(registry, 'not the one')];
    const ee = await environment(`${registry.host}/team/gone@${digest}`, right);
    await ask(
      'mutation ($id: ID!) { resolveExecutionEnvironment(id: $id) { ... on ResolvedExecutionEnvironment { digest } } }',
      { id: ee },
    );
    const change = (credentialId: string) =>
      ask(
        'mutation ($input: ChangeExecutionEnvironmentInput!) { changeExecutionEnvironment(input: $input) { __typename } }',
        { input: { id: ee, credentialId } },
      );
    await change(wrong);
    endsFor(await run(ee), 'image_unauthorized', /authentication required/);
    await change(right);
    await deleteManifest(registry, 'team/gone', digest);
    endsFor(await run(ee), 'image_not_found', /manifest unknown/);
  });
});

describe('an image that somebody wants beforehand', () => {
  it('is pulled by the command line, and removed again when nothing means it any more', async () => {
    const { digest } = await pushImage(registry, { repository: 'team/early', tag: '1' });
    const name = `early ${randomUUID()}`;
    const id = await make('createExecutionEnvironment', 'CreateExecutionEnvironmentInput', {
      name,
      organizationId: (await seeded()).organizationId,
      image: `${registry.host}/team/early:1`,
      credentialId: await credential(registry),
    });
    const pulled = gantry('ee', 'pull', name);
    expect(pulled, pulled.stderr).toMatchObject({ code: 0 });
    expect(pulled.stdout).toContain(digest);
    expect(gantry('ee', 'pull', name).stdout).toContain('is there');

    const prune = (...more: string[]): string => gantry('ee', 'prune', '--keep-days', '0', ...more).stdout;
    expect(prune('--dry-run')).not.toContain('team/early');
    await ask('mutation ($id: ID!) { deleteExecutionEnvironment(id: $id) { __typename } }', { id });
    expect(prune('--dry-run')).toMatch(/team\/early@sha256.*would be removed/);
    expect(prune()).toMatch(/team\/early@sha256.*removed/);
    expect(() => engine('image', 'exists', `${registry.host}/team/early@${digest}`)).toThrow();
  });

  it('that its registry refuses is told so, with an exit code', async () => {
    await pushImage(registry, { repository: 'team/closed', tag: '2' });
    const name = `closed ${randomUUID()}`;
    await make('createExecutionEnvironment', 'CreateExecutionEnvironmentInput', {
      name,
      organizationId: (await seeded()).organizationId,
      image: `${registry.host}/team/closed:2`,
      credentialId: await credential(registry, 'not the one'),
    });
    const { code, stderr } = gantry('ee', 'pull', name);
    expect(code).toBe(4);
    expect(stderr).toContain('authentication required');
  });
});
