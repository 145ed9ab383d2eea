import { randomUUID } from 'node:crypto';
import { GrantRedemptionRefused } from '@gantry/contracts/credential';
import { ResolveExecutionEnvironment } from '@gantry/contracts/ee';
import { PlatformError } from '@gantry/contracts/errors';
import {
  CancelJob,
  GetJob,
  GetTimeline,
  isFinal,
  LaunchJob,
  ListJobs,
  type Job,
} from '@gantry/contracts/job';
import { ReadJobForArchive } from '@gantry/contracts/proof';
import { RecordAgentStarted, RecordSealed } from '@gantry/contracts/record';
import { PinProject, SnapshotJobTemplate } from '@gantry/contracts/template';
import type { RunningService } from '@gantry/service/boot';
import { testPrincipal } from '@gantry/service/testing';
import { eventually } from '@gantry/testkit/eventually';
import { startNats } from '@gantry/testkit/nats';
import { freshDatabase } from '@gantry/testkit/postgres';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { podName } from './pod/description.js';
import { FakeMachine, type FakePod } from './testing/fake-pods.js';
import { createWorld, type World } from './testing/world.js';

let world: World;
let launcher: RunningService;

beforeAll(async () => {
  const [database, nats] = await Promise.all([freshDatabase(), startNats()]);
  world = await createWorld({ database, nats });
});
afterAll(() => world?.close());

const jobOf = (pod: FakePod): string => pod.description.environment['GANTRY_JOB_ID']!;
/** The pod does its work and says so. */
const work = (pod: FakePod): void => {
  world.neighbours.seals.set(jobOf(pod), world.neighbours.sealOf(jobOf(pod)));
  world.machine.exit(pod.state.name, 0);
};
const over = (job: Job): boolean => isFinal(job.status);

beforeEach(async () => {
  const { neighbours, machine } = world;
  Object.keys(neighbours.instead).forEach((name) => delete neighbours.instead[name]);
  Object.assign(neighbours, { image: 'localhost/ee:1', snapshot: {}, onCancel: () => undefined });
  const fresh = new FakeMachine();
  Object.assign(machine, { before: fresh.before, obedient: true, registryAway: 0, onStart: work });
  launcher = await world.startLauncher();
});
afterEach(() => launcher?.stop());

const runningJob = async (): Promise<{ jobId: string; pod: string }> => {
  world.machine.onStart = () => undefined;
  const jobId = await world.launch();
  const pod = podName(jobId, 1);
  await eventually(() => world.machine.pods.get(pod)?.state.phase === 'running');
  return { jobId, pod };
};

describe('a launched job', () => {
  it('goes its way to the end and leaves nothing behind', async () => {
    const jobId = await world.launch();
    const job = await world.until(jobId, over);
    expect(job).toMatchObject({
      status: 'successful',
      reason: null,
      epoch: 1,
      artifacts: { a: 1 },
      record: { lastCounter: 5, exitCode: 0 },
      launchedBy: { username: 'alice' },
    });
    expect(job.pinned).toMatchObject({
      image: { digest: 'sha256:d1' },
      project: { commit: 'c0ffee' },
      inventory: { totalHosts: 3 },
    });
    expect(await world.timeline(jobId)).toEqual([
      'job.requested', 'job.pinned', 'job.dispatched', 'job.image_cached', 'job.pod_created', 'job.record_sealed', 'job.pod_destroyed', 'job.finished',
    ]); // prettier-ignore
    // What ingest archives it from: the same job, and its stream with its chain.
    const told = await world.gateway.call(ReadJobForArchive, { jobId });
    expect(told.job).toEqual(job);
    expect(told.events.map(({ type }) => type)).toEqual(await world.timeline(jobId));
    await expect(world.gateway.call(ReadJobForArchive, { jobId: randomUUID() })).rejects.toMatchObject({
      code: 'not_found',
    });
    expect(world.machine.pods.size).toBe(0);
    expect(world.neighbours.notedDigests).toContain('sha256:d1');
    const { rows } = await launcher.kit.pool.query('select * from launcher.unfinished_job');
    expect(rows).toEqual([]);
  });

  it('is launched once for one key of one person', async () => {
    const [first, again] = await Promise.all([
      world.launch('Deploy', 'same'),
      world.launch('Deploy', 'same'),
    ]);
    expect(again).toBe(first);
    world.neighbours.instead[SnapshotJobTemplate.name] = () => {
      throw new PlatformError('not_found', 'gone');
    };
    expect(
      await world.gateway.call(
        LaunchJob,
        { jobTemplate: 'Deploy', idempotencyKey: 'same' },
        { principal: world.alice },
      ),
    ).toEqual({ jobId: first, created: false });
  });

  it('is refused as the owner of the template refuses it', async () => {
    world.neighbours.instead[SnapshotJobTemplate.name] = () => {
      throw new PlatformError('forbidden', 'alice may not execute it.');
    };
    await expect(world.launch()).rejects.toMatchObject({
      code: 'forbidden',
      message: 'alice may not execute it.',
    });
  });

  it('tells the pod only its token, and ingest and the vault only what follows from it', async () => {
    const jobId = await world.launch();
    await world.until(jobId, over);
    const { rows } = await launcher.kit.pool.query(
      `select data::text as text from launcher.event_log where stream = $1`,
      [`job-${jobId}`],
    );
    expect(world.neighbours.opened.find((record) => record.jobId === jobId)?.bearerSha256).toMatch(
      /^[0-9a-f]{64}$/,
    );
    const { proofKey } = world.neighbours.grants.find((grant) => grant.jobId === jobId)!;
    expect(rows.filter(({ text }) => (text as string).includes(proofKey))).toEqual([]);
  });

  it('runs while its agent speaks', async () => {
    const { jobId, pod } = await runningJob();
    await world.publish(RecordAgentStarted, `record-${jobId}`, {
      jobId,
      epoch: 1,
      agent: { version: '1.0', mode: 'direct' },
    });
    expect(await world.until(jobId, (job) => job.status === 'running')).toMatchObject({
      agent: { version: '1.0' },
      startedAt: expect.any(String),
    });
    await world.publish(GrantRedemptionRefused, `grant-${jobId}-1`, {
      jobId,
      epoch: 1,
      reason: 'already_redeemed',
      thumbprint: 't',
    });
    await eventually(async () => (await world.timeline(jobId)).includes('job.credential_alarm'));
    const seal = world.neighbours.sealOf(jobId, {
      status: 'failed',
      exitCode: 2,
      reason: { code: 'hosts_failed', message: '1 of 3 hosts failed: a.' },
    });
    world.neighbours.seals.set(jobId, seal);
    await world.publish(RecordSealed, `record-${jobId}`, seal);
    await eventually(async () => (await world.timeline(jobId)).includes('job.record_sealed'));
    world.machine.exit(pod, 0);
    expect(await world.until(jobId, over)).toMatchObject({
      status: 'failed',
      reason: { message: '1 of 3 hosts failed: a.' },
    });
  });
});

describe('a job that cannot run', () => {
  it('ends with the words of who refused it', async () => {
    world.neighbours.instead[PinProject.name] = () => {
      throw new PlatformError('refused', 'git: could not resolve host.', {
        details: { reason: 'git_unreachable' },
      });
    };
    expect(await world.until(await world.launch(), over)).toMatchObject({
      status: 'error',
      reason: { code: 'git_unreachable', message: 'git: could not resolve host.' },
    });
  });

  it('ends with the words of the engine when its image is missing', async () => {
    world.neighbours.image = 'r/missing:1';
    expect(await world.until(await world.launch(), over)).toMatchObject({
      status: 'error',
      reason: { code: 'image_not_found' },
    });
    expect(world.machine.pods.size).toBe(0);
  });

  it('runs an image that is there although its registry is away, and says so', async () => {
    world.neighbours.instead[ResolveExecutionEnvironment.name] = () => ({
      id: world.neighbours.organizationId, name: 'EE', image: 'r/ee:1', pull: 'missing', digest: 'sha256:d1', reason: 'the default',
      from: 'setting', resolution: 'known', words: 'connection refused',
    }); // prettier-ignore
    const jobId = await world.launch();
    expect(await world.until(jobId, over)).toMatchObject({ status: 'successful' });
    const { entries } = await world.gateway.call(GetTimeline, { jobId }, { principal: world.alice });
    expect(entries.find(({ type }) => type === 'job.image_cached')).toMatchObject({
      data: { note: 'Its registry is away (connection refused); this is the image that it named last.' },
    });
  });

  it('is told each time its image is asked for again, and ends when that has not helped', async () => {
    world.machine.registryAway = 2;
    const lucky = await world.launch();
    expect(await world.until(lucky, over)).toMatchObject({ status: 'successful' });
    const pulls = (await world.timeline(lucky)).filter((type) => type.includes('image'));
    expect(pulls).toEqual([
      'job.image_pull_started', 'job.image_pull_retried', 'job.image_pull_retried', 'job.image_cached',
    ]); // prettier-ignore
    world.machine.registryAway = 3;
    expect(await world.until(await world.launch(), over)).toMatchObject({
      status: 'error',
      reason: { code: 'image_registry_unreachable' },
    });
    expect(world.machine.pods.size).toBe(0);
  });

  it('waits for a service that is away, says so, and goes on', async () => {
    let away = true;
    world.neighbours.instead[PinProject.name] = () => {
      if (away) throw new PlatformError('unavailable', 'templates is away.');
      return { commit: 'c0ffee', branch: 'main', archive: { sha256: 'a'.repeat(64), sizeBytes: 1 } };
    };
    const jobId = await world.launch();
    const waiting = await world.until(jobId, (job) => job.reason !== null);
    expect(waiting).toMatchObject({
      status: 'pending',
      reason: { message: 'Cannot be prepared yet: templates is away.' },
    });
    away = false;
    expect(await world.until(jobId, over)).toMatchObject({ status: 'successful' });
  });
});

describe('an engine that is away for a while', () => {
  /** From now on, so many calls get no answer. */
  const goAway = (calls: number): void => {
    let left = calls;
    world.machine.before = (method) => {
      if (method === 'inspect' && left-- > 0)
        throw new PlatformError('unavailable', 'The container engine does not answer.');
    };
  };
  it('delays a job that has no pod yet, which says so', async () => {
    goAway(5);
    const jobId = await world.launch();
    expect(await world.until(jobId, over)).toMatchObject({ status: 'successful' });
    expect(await world.timeline(jobId)).toContain('job.pod_problem');
  });
  it('does not end a job that has one', async () => {
    const { jobId, pod } = await runningJob();
    goAway(4);
    work(world.machine.pods.get(pod)!);
    expect(await world.until(jobId, over)).toMatchObject({ status: 'successful' });
  });
});

describe('a job whose pod ends badly', () => {
  it('is an error with the exit code in its reason', async () => {
    const { jobId, pod } = await runningJob();
    world.machine.exit(pod, 137, { detail: 'the engine said so' });
    const job = await world.until(jobId, over);
    expect(job).toMatchObject({
      status: 'error',
      reason: { code: 'killed', message: expect.stringMatching(/137.*the engine said so/) },
    });
  });
  it('is an error when its pod vanished', async () => {
    const { jobId, pod } = await runningJob();
    world.machine.remove(pod);
    expect(await world.until(jobId, over)).toMatchObject({ status: 'error', reason: { code: 'pod_lost' } });
  });
});

describe('a place', () => {
  it('is taken by one job of a template after the other, and waiting says for which', async () => {
    world.neighbours.snapshot = { allowSimultaneous: false, jobTemplateId: randomUUID() };
    const { jobId: first, pod } = await runningJob();
    const second = await world.launch();
    expect(await world.until(second, (job) => job.reason !== null)).toMatchObject({
      status: 'pending',
      reason: { code: 'template', message: expect.stringContaining(first) },
    });
    world.machine.onStart = work;
    work(world.machine.pods.get(pod)!);
    await world.until(first, over);
    expect(await world.until(second, over)).toMatchObject({ status: 'successful' });
  });

  it('is waited for when all are taken, in order', async () => {
    await launcher.stop();
    launcher = await world.startLauncher({ maxConcurrentJobs: 1 });
    const { jobId: first, pod } = await runningJob();
    const started: string[] = [];
    world.machine.onStart = (fake) => {
      started.push(jobOf(fake));
      work(fake);
    };
    const waiting: string[] = [];
    for (let n = 0; n < 3; n++) {
      waiting.push(await world.launch());
      await world.until(waiting[n]!, (job) => job.reason?.code === 'capacity');
    }
    work(world.machine.pods.get(pod)!);
    await Promise.all([first, ...waiting].map((jobId) => world.until(jobId, over)));
    expect(started).toEqual(waiting);
  });
});

describe('a cancel', () => {
  const cancel = (jobId: string, force = false) =>
    world.gateway.call(CancelJob, { jobId, force }, { principal: world.alice });

  it('ends a job that waits at once', async () => {
    world.neighbours.snapshot = { allowSimultaneous: false, jobTemplateId: randomUUID() };
    const { jobId: first, pod } = await runningJob();
    const second = await world.launch();
    await world.until(second, (job) => job.reason !== null);
    expect(await cancel(second)).toEqual({ status: 'canceled' });
    work(world.machine.pods.get(pod)!);
    await world.until(first, over);
  });
  it('asks the agent, who ends the playbook', async () => {
    const { jobId, pod } = await runningJob();
    world.neighbours.onCancel = () => {
      world.neighbours.seals.set(
        jobId,
        world.neighbours.sealOf(jobId, { status: 'canceled', exitCode: null }),
      );
      world.machine.exit(pod, 0);
    };
    await cancel(jobId);
    expect(await world.until(jobId, over)).toMatchObject({
      status: 'canceled',
      cancelRequested: true,
      reason: { message: 'Canceled by alice while it ran.' },
    });
  });
  it('by force kills the pod', async () => {
    const { jobId, pod } = await runningJob();
    const { signals } = world.machine.pods.get(pod)!;
    await cancel(jobId, true);
    expect(await world.until(jobId, over)).toMatchObject({ status: 'canceled' });
    expect(signals).toEqual(['kill']);
  });
  it('ends a pull', async () => {
    world.neighbours.image = 'r/slow:1';
    const jobId = await world.launch();
    await eventually(async () => (await world.timeline(jobId)).includes('job.image_pull_started'));
    await cancel(jobId);
    expect(await world.until(jobId, over)).toMatchObject({ status: 'canceled' });
  });
  it('is for people: a launcher that stops over a pull leaves the job to the next one', async () => {
    world.neighbours.image = 'r/slow:1';
    const jobId = await world.launch();
    await eventually(async () => (await world.timeline(jobId)).includes('job.image_pull_started'));
    await launcher.stop();
    world.machine.before = (method) => {
      if (method === 'ensureImage')
        throw new PlatformError('refused', 'No.', { details: { reason: 'image_not_found' } });
    };
    launcher = await world.startLauncher();
    expect(await world.until(jobId, over)).toMatchObject({
      status: 'error',
      reason: { code: 'image_not_found' },
    });
  });
  it('ends the pause before the next pull', async () => {
    world.machine.registryAway = 3;
    const jobId = await world.launch();
    await eventually(
      async () =>
        (await world.timeline(jobId)).filter((type) => type === 'job.image_pull_retried').length === 2,
    );
    await cancel(jobId);
    expect(await world.until(jobId, over)).toMatchObject({ status: 'canceled' });
    expect(world.machine.registryAway).toBe(1);
  });
  it('is refused when the job is over', async () => {
    const jobId = await world.launch();
    await world.until(jobId, over);
    await expect(cancel(jobId)).rejects.toMatchObject({ code: 'refused', details: { reason: 'finished' } });
  });
});

describe('another launcher', () => {
  it('takes over a running job and fails it not', async () => {
    const { jobId, pod } = await runningJob();
    await launcher.stop();
    expect(world.machine.pods.get(pod)?.state.phase).toBe('running');
    launcher = await world.startLauncher();
    work(world.machine.pods.get(pod)!);
    expect(await world.until(jobId, over)).toMatchObject({ status: 'successful' });
    expect(world.machine.made.filter((name) => name === pod)).toHaveLength(1);
  });

  it('finds a pod that was made and never recorded, and gives it the same token', async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const pods: string[] = [];
    // The first launcher dies right after the engine made the pod.
    world.machine.before = async (method, name) => {
      if (method === 'start' && pods.push(name) === 1) {
        await held;
        throw new PlatformError('unavailable', 'this launcher is gone');
      }
    };
    const jobId = await world.launch();
    await eventually(() => pods.length === 1);
    const stopping = launcher.stop();
    release();
    await stopping;
    launcher = await world.startLauncher();
    expect(await world.until(jobId, over)).toMatchObject({ status: 'successful', epoch: 1 });
    expect(world.machine.made.filter((name) => name === podName(jobId, 1))).toHaveLength(1);
  });

  it("pins what the first one could not, in the launching person's name", async () => {
    let away = true;
    world.neighbours.instead[PinProject.name] = () => {
      if (away) throw new PlatformError('unavailable', 'templates is away.');
      return { commit: 'c0ffee', branch: 'main', archive: { sha256: 'a'.repeat(64), sizeBytes: 1 } };
    };
    const jobId = await world.launch();
    await launcher.stop();
    away = false;
    launcher = await world.startLauncher();
    expect(await world.until(jobId, over)).toMatchObject({ status: 'successful' });
  });

  it('works beside the first: each job is driven by one of them', async () => {
    const second = await world.startLauncher();
    const jobs = await Promise.all(Array.from({ length: 8 }, () => world.launch()));
    for (const jobId of jobs) expect(await world.until(jobId, over)).toMatchObject({ status: 'successful' });
    expect(new Set(world.machine.made).size).toBe(world.machine.made.length);
    await second.stop();
  });
});

describe('a launcher that loses its database connections', () => {
  it('goes on with its jobs', async () => {
    const { jobId, pod } = await runningJob();
    const admin = new pg.Client({ connectionString: world.adminUrl });
    await admin.connect();
    await admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'gantry-launcher%' and pid <> pg_backend_pid()`,
    );
    await admin.end();
    work(world.machine.pods.get(pod)!);
    expect(await world.until(jobId, over)).toMatchObject({ status: 'successful' });
  });
});

describe('pods left behind', () => {
  it('are removed if they are ours and nobody needs them', async () => {
    const { rows } = await launcher.kit.pool.query<{ id: string }>(
      'select id::text as id from launcher.installation',
    );
    const driver = world.machine.driver();
    const pod = (name: string, installation: string) =>
      driver.create({
        name, image: 'i', command: [], environment: {}, user: { uid: 1000, gid: 0 }, memoryVolumes: [], mounts: [], network: 'none',
        limits: { memoryBytes: 1, cpus: 0, processes: 1 }, graceSeconds: 1, logMebibytes: 1,
        labels: { 'gantry.installation': installation, 'gantry.job': randomUUID(), 'gantry.epoch': '1' },
      }); // prettier-ignore
    await pod('ours', rows[0]!.id);
    await pod('theirs', randomUUID());
    // It sweeps when it starts.
    await launcher.stop();
    launcher = await world.startLauncher();
    await eventually(() => !world.machine.pods.has('ours'));
    expect(world.machine.pods.has('theirs')).toBe(true);
    world.machine.remove('theirs');
  });
});

describe('people', () => {
  it('see the jobs they launched and those of organizations they may read, newest first', async () => {
    const jobs = [await world.launch('One'), await world.launch('Two')];
    for (const jobId of jobs) await world.until(jobId, over);
    const list = (principal: typeof world.alice, after?: string) =>
      world.gateway.call(ListJobs, { first: 1, after, jobTemplateId: null }, { principal });
    const page = await list(world.alice);
    expect(page.items[0]!.node).toMatchObject({ id: jobs[1], name: 'Two' });
    expect((await list(world.alice, page.items[0]!.cursor)).items[0]!.node.id).toBe(jobs[0]);
    const stranger = testPrincipal({ organizations: { [randomUUID()]: ['admin'] } });
    expect(await list(stranger)).toEqual({ items: [], hasNextPage: false, totalCount: 0 });
    for (const command of [GetJob, GetTimeline] as const) {
      await expect(
        world.gateway.call(command, { jobId: jobs[0]! }, { principal: stranger }),
      ).rejects.toMatchObject({ code: 'not_found' });
      await expect(world.gateway.call(command, { jobId: jobs[0]! })).rejects.toMatchObject({
        code: 'unauthenticated',
      });
    }
    const reader = testPrincipal({ organizations: { [world.neighbours.organizationId]: ['read'] } });
    expect((await world.gateway.call(GetJob, { jobId: jobs[0]! }, { principal: reader })).name).toBe('One');
    await expect(
      world.gateway.call(CancelJob, { jobId: jobs[0]! }, { principal: reader }),
    ).rejects.toMatchObject({ code: 'forbidden' });
    await expect(
      world.gateway.call(CancelJob, { jobId: jobs[0]! }, { principal: stranger }),
    ).rejects.toMatchObject({ code: 'not_found' });
  });

  it('find jobs by status', async () => {
    const { items } = await world.gateway.call(
      ListJobs,
      { status: ['error'], first: 200 },
      { principal: world.alice },
    );
    expect(items.length).toBeGreaterThan(0);
    expect(new Set(items.map(({ node }) => node.status))).toEqual(new Set(['error']));
    await expect(
      world.gateway.call(ListJobs, { after: 'nonsense' }, { principal: world.alice }),
    ).rejects.toMatchObject({ code: 'invalid' });
  });
});
