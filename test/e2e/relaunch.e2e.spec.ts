/** A past job run again after everything has moved on: the image's tag, the project's branch, a credential; on its failed hosts too. */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serviceNames } from '@gantry/contracts/command';
import { deleteManifest } from '@gantry/testkit/oci-image';
import { startRegistry, type TestRegistry } from '@gantry/testkit/registry';
import { openTestCa } from '@gantry/testkit/test-ca';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allEvents, ask, containersOf, engine, gantry, getJob, launch, machine, over, partPid, pidOf, world, type Job } from './api.js'; // prettier-ignore
import { openSignedIn, startBrowser } from './browser.js';
import { make, makeTemplate, seeded } from './objects.js';

const name = `relaunch-${randomUUID().slice(0, 8)}`;
const image = `localhost/gantry-e2e-${name}:1`;
const folder = mkdtempSync(join(tmpdir(), 'gantry-relaunch-'));
const secrets = [`first-${randomUUID()}`, `second-${randomUUID()}`];

const git = (...args: string[]): string =>
  execFileSync('git', ['-c', 'user.name=Test', '-c', 'user.email=test@gantry.invalid', ...args], {
    cwd: join(folder, 'project'),
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim();

/** Says which version of the project this is; bravo fails unless it is told to be well. */
const commit = (version: number): string => {
  const playbook = `- hosts: all
  gather_facts: false
  tasks:
    - debug: {msg: "project ${version}, built as {{ lookup('file', '/gantry-build') }}"}
    - fail: {msg: on purpose}
      when: inventory_hostname == 'bravo' and not (well | default(false))
`;
  mkdirSync(join(folder, 'project'), { recursive: true });
  writeFileSync(join(folder, 'project', 'site.yml'), playbook);
  git('init', '--quiet', '--initial-branch=main', '.');
  git('add', '--all');
  git('commit', '--quiet', '--no-gpg-sign', '-m', `Version ${version}`);
  const served = join(world.home, 'git', `${name}.git`);
  if (version === 1) git('clone', '--quiet', '--bare', '.', served);
  else git('push', '--quiet', served, 'HEAD:refs/heads/main');
  return git('rev-parse', 'HEAD');
};

/** Builds another image under the same tag. */
const build = (version: number): void => {
  const context = join(folder, `image-${version}`);
  mkdirSync(context);
  writeFileSync(join(context, 'gantry-build'), `image ${version}`);
  writeFileSync(
    join(context, 'Containerfile'),
    `FROM ${machine().eeImage}\nCOPY gantry-build /gantry-build\n`,
  );
  engine('build', '--quiet', '--tag', image, context);
};

interface Plan {
  sha256: string;
  possible: boolean;
  needsAcceptance: boolean;
  limitHosts: { totalHosts: number; names: string[] } | null;
  items: { part: string; status: string; was: string | null; now: string | null; message: string }[];
}
interface Refused {
  code: string;
  reason: string | null;
  message: string;
}

const plan = async (input: object, token?: string): Promise<Plan & Refused> =>
  (
    await ask<{ relaunchPlan: Plan & Refused }>(
      `query ($jobId: ID!, $mode: RelaunchMode!, $hosts: RelaunchHosts! = ALL, $changes: RelaunchChangesInput) {
        relaunchPlan(jobId: $jobId, mode: $mode, hosts: $hosts, changes: $changes) {
          ... on RelaunchPlan { sha256 possible needsAcceptance limitHosts { totalHosts names } items { part status was now message } }
          ... on RelaunchRefused { code reason message } } }`,
      input,
      token,
    )
  ).relaunchPlan;

const relaunch = async (input: object, token?: string): Promise<{ job?: { id: string } } & Refused> =>
  (
    await ask<{ relaunchJob: { job?: { id: string } } & Refused }>(
      `mutation ($input: RelaunchJobInput!) { relaunchJob(input: $input) {
        ... on LaunchedJob { job { id } } ... on RelaunchRefused { code reason message } } }`,
      { input: { idempotencyKey: randomUUID(), ...input } },
      token,
    )
  ).relaunchJob;
const relaunched = async (input: object): Promise<Job> => {
  const answer = await relaunch(input);
  if (!answer.job) throw new Error(answer.message);
  return over(answer.job.id);
};
const part = ({ items }: Plan, wanted: string) => items.find((item) => item.part === wanted)!;
const outputOf = async (id: string): Promise<string> =>
  (await allEvents(id)).map(({ stdout }) => stdout).join('\n');
const hostsOf = (job: Job): string[] => job.hostSummaries.nodes.map(({ host }) => host);

describe('a past job, when image, project and credential have moved on', () => {
  let past: Job;
  let commits: string[];
  let credentialId: string;

  beforeAll(async () => {
    const { organizationId } = await seeded();
    const first = commit(1);
    build(1);
    const { projects } = await ask<{ projects: { nodes: { scmUrl: string }[] } }>(
      '{ projects { nodes { scmUrl } } }',
    );
    const demo = projects.nodes.find(({ scmUrl }) => scmUrl.endsWith('/demo-project.git'))!.scmUrl;
    const projectId = await make('createProject', 'CreateProjectInput', {
      name,
      organizationId,
      scmUrl: demo.replace('demo-project.git', `${name}.git`),
      scmUpdateOnLaunch: true,
    });
    const inventoryId = await make('createInventory', 'CreateInventoryInput', {
      name,
      organizationId,
      variables: { ansible_connection: 'local' },
      hosts: ['alpha', 'bravo', 'charlie'].map((host) => ({ name: host })),
    });
    const executionEnvironmentId = await make(
      'createExecutionEnvironment',
      'CreateExecutionEnvironmentInput',
      { name, image, organizationId, pull: 'NEVER' },
    );
    credentialId = await make('createCredential', 'CreateCredentialInput', {
      name,
      organizationId,
      credentialType: 'vault',
      inputs: { vault_password: secrets[0] },
    });
    const more = { projectId, inventoryId, executionEnvironmentId, credentialIds: [credentialId] };
    past = await over(await launch(await makeTemplate('site.yml', more)));
    expect(past.status, past.reason?.message).toBe('FAILED');

    const second = commit(2);
    build(2);
    await ask('mutation ($input: RotateCredentialInput!) { rotateCredential(input: $input) { version } }', {
      input: { id: credentialId, inputs: { vault_password: secrets[1] } },
    });
    commits = [first, second];
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
    engine('rmi', '--force', image);
  });

  it('says what is identical and what cannot be, before anything starts', async () => {
    const seen = await plan({ jobId: past.id, mode: 'EXACT' });
    expect(seen).toMatchObject({ possible: true, needsAcceptance: true });
    expect(part(seen, 'IMAGE')).toMatchObject({ status: 'IDENTICAL', now: past.pinned!.image.digest });
    expect(part(seen, 'PROJECT')).toMatchObject({ status: 'IDENTICAL', now: commits[0] });
    expect(part(seen, 'CREDENTIAL')).toMatchObject({
      status: 'CHANGED',
      was: 'version 1',
      now: 'version 2',
      message: expect.stringContaining("today's values"),
    });
    expect(JSON.stringify(seen)).not.toMatch(new RegExp(secrets.join('|')));
    expect(await relaunch({ jobId: past.id, mode: 'EXACT' })).toMatchObject({
      code: 'REFUSED',
      reason: 'relaunch_changed',
    });
    const refused = gantry('relaunch', past.id);
    expect(refused.code).toBe(4);
    expect(refused.stderr).toContain('--accept');
  });

  it('runs exactly on its failed hosts only: the old image, the old commit, one host', async () => {
    const seen = await plan({ jobId: past.id, mode: 'EXACT', hosts: 'FAILED' });
    expect(seen.limitHosts).toEqual({ totalHosts: 1, names: ['bravo'] });
    const job = await relaunched({
      jobId: past.id,
      mode: 'EXACT',
      hosts: 'FAILED',
      changes: { extraVars: { well: true } },
      accept: true,
    });
    expect(job.status, job.reason?.message).toBe('SUCCESSFUL');
    expect(hostsOf(job)).toEqual(['bravo']);
    expect(job.pinned).toMatchObject({
      image: { digest: past.pinned!.image.digest },
      project: { commit: commits[0] },
      inventory: { sha256: past.pinned!.inventory.sha256 },
    });
    expect(await outputOf(job.id)).toContain('project 1, built as image 1');
    expect(containersOf(job.id)).toEqual([]);
  });

  it('runs as its template is now, and shows the differences', async () => {
    const seen = await plan({ jobId: past.id, mode: 'CURRENT' });
    expect(part(seen, 'PROJECT')).toMatchObject({ status: 'CHANGED', was: commits[0], now: commits[1] });
    expect(part(seen, 'IMAGE')).toMatchObject({ status: 'CHANGED', was: past.pinned!.image.digest });
    const current = gantry('relaunch', past.id, '--current', '-e', 'well=yes', '--follow');
    expect(current.code, current.stderr).toBe(0);
    expect(current.stdout).toContain('project 2, built as image 2');
  });

  it('is linked with the jobs that came of it', async () => {
    const { job } = await ask<{
      job: { children: { nodes: { relaunchOf: { jobId: string; mode: string }; parent: { id: string } }[] } };
    }>(
      'query ($id: ID!) { job(id: $id) { children { nodes { relaunchOf { jobId mode } parent { id } } } } }',
      { id: past.id },
    );
    expect(job.children.nodes.map(({ relaunchOf }) => relaunchOf)).toEqual([
      { jobId: past.id, mode: 'CURRENT' },
      { jobId: past.id, mode: 'EXACT' },
    ]);
    expect(job.children.nodes[0]!.parent.id).toBe(past.id);
  });

  it('is run again from its page, once what differs was shown and accepted', async () => {
    const browser = await startBrowser();
    const { page, context, complaints } = await openSignedIn(browser, `/jobs/${past.id}`);
    try {
      await page.getByTestId('relaunch').click();
      const parts = page.getByTestId('relaunch-plan').locator('li');
      await parts.first().waitFor();
      expect(await parts.first().getAttribute('data-status')).toBe('CHANGED');
      expect(await parts.first().textContent()).toContain('version 1 then, 2 now');
      expect(
        await page.locator('[data-testid="relaunch-plan"] li[data-status="IDENTICAL"]').count(),
      ).toBeGreaterThan(5);
      const confirm = page.getByTestId('relaunch-confirm');
      expect(await confirm.isDisabled()).toBe(true);
      await page.getByTestId('relaunch-accept').check();
      await confirm.click();
      await page.waitForURL((url) => url.pathname.startsWith('/jobs/') && !url.pathname.includes(past.id));
      const id = new URL(page.url()).pathname.split('/')[2]!;
      await page.getByTestId('parent-job').click();
      await page.waitForURL((url) => url.pathname.includes(past.id));
      expect((await over(id)).pinned!.image.digest).toBe(past.pinned!.image.digest);
      expect(complaints).toEqual([]);
    } finally {
      await context.close();
      await browser.close();
    }
  });

  it('may be read and not run again by who may only read it', async () => {
    const { organizationId } = await seeded();
    const userId = await make('createUser', 'CreateUserInput', { username: name });
    const role = { userId, organizationId, role: 'READ' };
    await ask('mutation ($input: RoleInput!) { grantRole(input: $input) { id } }', { input: role });
    const { issueToken } = await ask<{ issueToken: { token: string } }>(
      'mutation ($userId: ID) { issueToken(input: { userId: $userId }) { token } }',
      { userId },
    );
    const read = await ask<{ job: { id: string } | null }>(
      'query ($id: ID!) { job(id: $id) { id } }',
      { id: past.id },
      issueToken.token,
    );
    expect(read.job?.id).toBe(past.id);
    for (const mode of ['EXACT', 'CURRENT']) {
      const input = { jobId: past.id, mode };
      expect(await plan(input, issueToken.token)).toMatchObject({ code: 'FORBIDDEN' });
      expect(await relaunch({ ...input, accept: true }, issueToken.token)).toMatchObject({
        code: 'FORBIDDEN',
      });
    }
  });

  it('runs exactly again after everything has been restarted', async () => {
    const pids = [...serviceNames.map(pidOf), ...['nats', 'postgres', 'engine'].map(partPid)];
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    for (;;) {
      const answered = await getJob(past.id).catch(() => null);
      if (answered) break;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    let job: Job | null = null;
    while (!job) {
      job = await relaunched({ jobId: past.id, mode: 'EXACT', accept: true }).catch((error: Error) => {
        // Some of them are still on their way up.
        if (!/UNAVAILABLE|does not|not running|fetch failed/i.test(error.message)) throw error;
        return null;
      });
    }
    expect(job.status, job.reason?.message).toBe('FAILED');
    expect(hostsOf(job)).toEqual(['alpha', 'bravo', 'charlie']);
    expect(await outputOf(job.id)).toContain('project 1, built as image 1');
  });

  it('is refused when its image is gone, and the plan says so', async () => {
    const { digest } = past.pinned!.image;
    const gone = JSON.parse(engine('images', '--all', '--format', 'json')) as {
      Id: string;
      Digest: string;
    }[];
    engine('rmi', '--force', gone.find((each) => each.Digest === digest)!.Id);
    const seen = await plan({ jobId: past.id, mode: 'EXACT' });
    expect(seen.possible).toBe(false);
    expect(part(seen, 'IMAGE')).toMatchObject({ status: 'MISSING', was: digest });
    expect(await relaunch({ jobId: past.id, mode: 'EXACT', accept: true })).toMatchObject({
      reason: 'relaunch_missing',
    });
  });
});

describe('a past job whose image is in a registry, when its tag has moved', () => {
  let registry: TestRegistry;
  const used: string[] = [];

  beforeAll(async () => {
    registry = await startRegistry({ ca: openTestCa(world.registryCa) });
  });
  afterAll(async () => {
    for (const each of used) {
      try {
        engine('rmi', '--force', each);
      } catch {
        // It is gone already.
      }
    }
    await registry?.stop();
  });

  /** Pushes the local execution environment with another label under the tag, and takes it off the machine; returns its digest. */
  const push = (version: number): string => {
    const pushed = `${registry.host}/team/ee:past`;
    const context = mkdtempSync(join(tmpdir(), 'gantry-relaunch-push-'));
    writeFileSync(
      join(context, 'Containerfile'),
      `FROM ${machine().eeImage}\nLABEL gantry.test=${version}\n`,
    );
    engine('build', '--quiet', '--pull=never', '--tag', pushed, context);
    const trust = ['--cert-dir', registry.certsFolder, '--authfile', registry.authFile];
    engine('push', '--quiet', ...trust, '--digestfile', join(context, 'digest'), pushed);
    const digest = readFileSync(join(context, 'digest'), 'utf8').trim();
    engine('rmi', pushed);
    rmSync(context, { recursive: true });
    used.push(`${registry.host}/team/ee@${digest}`);
    return digest;
  };

  it('pulls the old digest again, and is refused once the registry has lost it', async () => {
    const { organizationId } = await seeded();
    const first = push(1);
    const { username, password } = registry.login!;
    const executionEnvironmentId = await make(
      'createExecutionEnvironment',
      'CreateExecutionEnvironmentInput',
      {
        name: `registry ${name}`,
        organizationId,
        image: `${registry.host}/team/ee:past`,
        pull: 'MISSING',
        credentialId: await make('createCredential', 'CreateCredentialInput', {
          name: `registry ${name}`,
          organizationId,
          credentialType: 'registry',
          inputs: { host: registry.host, username, password },
        }),
      },
    );
    const past = await over(await launch(await makeTemplate('site.yml', { executionEnvironmentId })));
    expect(past, past.reason?.message).toMatchObject({
      status: 'SUCCESSFUL',
      pinned: { image: { digest: first } },
    });
    const second = push(2);
    engine('rmi', '--force', used[0]!);

    const seen = await plan({ jobId: past.id, mode: 'EXACT' });
    expect(part(seen, 'IMAGE')).toMatchObject({
      status: 'IDENTICAL',
      now: first,
      message: expect.stringContaining('registry has it'),
    });
    expect(part(await plan({ jobId: past.id, mode: 'CURRENT' }), 'IMAGE')).toMatchObject({
      status: 'CHANGED',
      was: first,
      now: second,
    });
    const job = await relaunched({ jobId: past.id, mode: 'EXACT' });
    expect(job, job.reason?.message).toMatchObject({
      status: 'SUCCESSFUL',
      pinned: { image: { digest: first } },
    });
    expect(job.timeline.map(({ type }) => type)).toContain('job.image_pulled');

    engine('rmi', '--force', used[0]!);
    await deleteManifest(registry, 'team/ee', first);
    const gone = await plan({ jobId: past.id, mode: 'EXACT' });
    expect(gone.possible).toBe(false);
    expect(part(gone, 'IMAGE')).toMatchObject({
      status: 'MISSING',
      message: expect.stringMatching(/does not have it any more .*unknown/),
    });
    expect(JSON.stringify([seen, gone])).not.toContain(password);
  });
});
