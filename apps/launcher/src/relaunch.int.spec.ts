import { randomUUID } from 'node:crypto';
import { PinCredentials } from '@gantry/contracts/credential';
import { CheckImage, ResolveExecutionEnvironment } from '@gantry/contracts/ee';
import { PlatformError } from '@gantry/contracts/errors';
import { GetTimeline, isFinal, ListJobs, type Job } from '@gantry/contracts/job';
import { ListHostSummaries } from '@gantry/contracts/record';
import { PlanRelaunch, RelaunchJob, type RelaunchItem, type RelaunchPlan } from '@gantry/contracts/relaunch';
import {
  PinProject,
  RepeatSnapshot,
  SnapshotInventory,
  SnapshotJobTemplate,
  type StoredObject,
} from '@gantry/contracts/template';
import type { InputOf } from '@gantry/contracts/command';
import type { RunningService } from '@gantry/service/boot';
import { testPrincipal } from '@gantry/service/testing';
import { startNats } from '@gantry/testkit/nats';
import { freshDatabase } from '@gantry/testkit/postgres';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { FakePod } from './testing/fake-pods.js';
import { createWorld, type World } from './testing/world.js';

let world: World;
let launcher: RunningService;
let archive: StoredObject;
let inventory: StoredObject;
const credentialId = randomUUID();
const credential = (version: number) => ({ id: credentialId, version, name: 'Login', credentialType: 'ssh' });

beforeAll(async () => {
  const [database, nats] = await Promise.all([freshDatabase(), startNats()]);
  world = await createWorld({ database, nats });
});
afterAll(() => world?.close());

const work = (pod: FakePod): void => {
  const jobId = pod.description.environment['GANTRY_JOB_ID']!;
  world.neighbours.seals.set(jobId, world.neighbours.sealOf(jobId));
  world.machine.exit(pod.state.name, 0);
};
const over = (job: Job): boolean => isFinal(job.status);
const instead = (): World['neighbours']['instead'] => world.neighbours.instead;

beforeEach(async () => {
  const { neighbours, machine } = world;
  Object.keys(neighbours.instead).forEach((name) => delete neighbours.instead[name]);
  machine.images.clear();
  machine.untagged.clear();
  machine.onStart = work;
  neighbours.image = 'registry.example/ee:1';
  neighbours.snapshot = { name: 'Deploy', credentialIds: [credentialId], extraVars: { release: '1.4' } };
  launcher = await world.startLauncher();
  archive = await world.objects.put(Buffer.from(`archive ${randomUUID()}`));
  inventory = await world.objects.put(Buffer.from(`inventory ${randomUUID()}`));
  instead()[PinProject.name] = () => ({ commit: 'c0ffee', branch: 'main', archive, collectionsLock: null });
  instead()[SnapshotInventory.name] = () => ({ object: inventory, totalHosts: 3 });
  instead()[PinCredentials.name] = () => ({ credentials: [credential(1)] });
});
afterEach(() => launcher?.stop());

const pastJob = async (): Promise<Job> => world.until(await world.launch(), over);
const plan = (input: InputOf<typeof PlanRelaunch>, principal = world.alice): Promise<RelaunchPlan> =>
  world.gateway.call(PlanRelaunch, input, { principal });
const relaunch = async (
  input: Omit<InputOf<typeof RelaunchJob>, 'idempotencyKey'>,
  principal = world.alice,
) => world.gateway.call(RelaunchJob, { idempotencyKey: randomUUID(), ...input }, { principal });
const told = ({ items }: RelaunchPlan, status: RelaunchItem['status']): string[] =>
  items.filter((item) => item.status === status).map(({ part }) => part);

describe('an exact relaunch', () => {
  it('runs the digest, commit, inventory and variables of the past job, whatever tag and branch mean today', async () => {
    const past = await pastJob();
    const newer = await world.objects.put(Buffer.from('newer'));
    world.machine.images.set('registry.example/ee:1', 'sha256:d2');
    world.machine.untagged.add('sha256:d1');
    instead()[PinProject.name] = () => ({ commit: 'beef', branch: 'main', archive: newer });
    instead()[SnapshotInventory.name] = () => ({ object: newer, totalHosts: 9 });
    instead()[SnapshotJobTemplate.name] = () => {
      throw new PlatformError('defect', 'an exact relaunch does not ask for the template as it is');
    };

    const seen = await plan({ jobId: past.id, mode: 'exact' });
    expect(told(seen, 'identical')).toHaveLength(seen.items.length);
    expect(seen).toMatchObject({ possible: true, needsAcceptance: false, limitHosts: null });

    const { jobId } = await relaunch({ jobId: past.id, mode: 'exact', planSha256: seen.sha256 });
    const job = await world.until(jobId, over);
    expect(job).toMatchObject({
      status: 'successful',
      launchType: 'relaunch',
      parentJobId: past.id,
      relaunchOf: { jobId: past.id, mode: 'exact', hosts: 'all' },
      snapshot: past.snapshot,
      pinned: {
        image: { digest: 'sha256:d1', reason: `exactly as in job ${past.id}` },
        project: { commit: 'c0ffee', archive },
        inventory: { object: inventory, totalHosts: 3 },
        credentials: [{ version: 1 }],
        collectionsLock: null,
      },
    });
    expect((await world.timeline(jobId)).slice(0, 3)).toEqual(['job.requested', 'job.pinned', 'job.dispatched']); // prettier-ignore
    const children = await world.gateway.call(ListJobs, { parentJobId: past.id }, { principal: world.alice });
    expect(children.items.map(({ node }) => node.id)).toEqual([jobId]);
  });

  it('is made once for one key of one person', async () => {
    const past = await pastJob();
    const input = { jobId: past.id, mode: 'exact' as const, idempotencyKey: randomUUID() };
    const [first, again] = await Promise.all([relaunch(input), relaunch(input)]);
    expect(again.jobId).toBe(first.jobId);
    expect([first.created, again.created].filter(Boolean)).toHaveLength(1);
  });

  it('says that a credential was changed since, and starts only once that is accepted', async () => {
    const past = await pastJob();
    instead()[PinCredentials.name] = () => ({ credentials: [credential(2)] });
    const seen = await plan({ jobId: past.id, mode: 'exact' });
    expect(told(seen, 'changed')).toEqual(['credential']);
    expect(seen.needsAcceptance).toBe(true);
    await expect(relaunch({ jobId: past.id, mode: 'exact' })).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('version 1 then, 2 now'),
      details: { reason: 'relaunch_changed', plan: { sha256: seen.sha256 } },
    });
    // Rotated once more since the plan was seen.
    instead()[PinCredentials.name] = () => ({ credentials: [credential(3)] });
    const seenAndAccepted = { jobId: past.id, mode: 'exact' as const, accept: true, planSha256: seen.sha256 };
    await expect(relaunch(seenAndAccepted)).rejects.toMatchObject({ details: { reason: 'plan_changed' } });
    const { jobId } = await relaunch({ jobId: past.id, mode: 'exact', accept: true });
    expect((await world.until(jobId, over)).pinned?.credentials).toMatchObject([{ version: 3 }]);
  });

  it('is refused when something is gone, with the plan that says what', async () => {
    const past = await pastJob();
    world.machine.images.set('registry.example/ee:1', 'sha256:d2');
    instead()[PinCredentials.name] = ({ credentialIds }: InputOf<typeof PinCredentials>) => {
      if (credentialIds.length === 0) return { credentials: [] };
      throw new PlatformError('not_found', 'no such credential', { details: { id: credentialId } });
    };
    const refusal = await relaunch({ jobId: past.id, mode: 'exact', accept: true }).catch(
      (error: unknown) => error,
    );
    expect(refusal).toMatchObject({ code: 'refused', details: { reason: 'relaunch_missing' } });
    const { details, message } = refusal as PlatformError;
    expect(told(details['plan'] as RelaunchPlan, 'missing')).toEqual(['image', 'credential']);
    expect(message).toContain('manifest unknown');
  });

  it('pulls from a registry that has it, and does not ask a registry for what is there', async () => {
    const past = await pastJob();
    const asked: boolean[] = [];
    instead()[CheckImage.name] = ({ ask }: InputOf<typeof CheckImage>) => {
      asked.push(ask);
      return { found: 'yes', words: '', credentialId: null };
    };
    await plan({ jobId: past.id, mode: 'exact' });
    world.machine.images.set('registry.example/ee:1', 'sha256:d2');
    expect((await plan({ jobId: past.id, mode: 'exact' })).possible).toBe(true);
    instead()[CheckImage.name] = () => ({
      found: 'unknown',
      words: 'it does not answer',
      credentialId: null,
    });
    expect(told(await plan({ jobId: past.id, mode: 'exact' }), 'missing')).toEqual(['image']);
    expect(asked).toEqual([false, true]);
  });

  it('has the archive made anew from git when it is gone, but not the inventory', async () => {
    instead()[PinProject.name] = () => ({ commit: 'c0ffee', branch: 'main', archive: { sha256: 'f'.repeat(64), sizeBytes: 1 } }); // prettier-ignore
    const past = await pastJob();
    const wanted: string[] = [];
    instead()[PinProject.name] = ({ scmBranch }: InputOf<typeof PinProject>) => {
      wanted.push(scmBranch);
      return { commit: 'c0ffee', branch: 'c0ffee', archive };
    };
    expect(told(await plan({ jobId: past.id, mode: 'exact' }), 'changed')).toEqual(['archive']);
    expect(wanted).toEqual(['c0ffee']);
    instead()[PinProject.name] = () => {
      throw new PlatformError('refused', 'no such commit any more');
    };
    expect(told(await plan({ jobId: past.id, mode: 'exact' }), 'missing')).toEqual(['project']);

    instead()[PinProject.name] = () => ({ commit: 'c0ffee', branch: 'main', archive });
    instead()[SnapshotInventory.name] = () => ({
      object: { sha256: 'e'.repeat(64), sizeBytes: 1 },
      totalHosts: 3,
    });
    const lost = await pastJob();
    const seen = await plan({ jobId: lost.id, mode: 'exact' });
    expect(told(seen, 'missing')).toEqual(['inventory']);
    expect(seen.possible).toBe(false);
  });

  it('takes changes as changes: nothing to accept, and never a value in the plan', async () => {
    const past = await pastJob();
    const changes = { extraVars: { password: 'correct horse' } };
    const seen = await plan({ jobId: past.id, mode: 'exact', changes });
    expect(seen.needsAcceptance).toBe(false);
    expect(told(seen, 'changed')).toEqual(['variables']);
    expect(JSON.stringify(seen)).not.toContain('correct horse');
    const { jobId } = await relaunch({ jobId: past.id, mode: 'exact', changes });
    expect((await world.until(jobId, over)).snapshot.extraVars).toEqual({
      release: '1.4',
      ...changes.extraVars,
    });
  });

  it('needs a job of which it was known what it runs on', async () => {
    instead()[ResolveExecutionEnvironment.name] = () => {
      throw new PlatformError('refused', 'no such image');
    };
    const past = await pastJob();
    expect(past.status).toBe('error');
    await expect(plan({ jobId: past.id, mode: 'exact' })).rejects.toMatchObject({ details: { reason: 'not_pinned' } }); // prettier-ignore
    delete instead()[ResolveExecutionEnvironment.name];
    const { jobId } = await relaunch({ jobId: past.id, mode: 'current' });
    expect((await world.until(jobId, over)).status).toBe('successful');
    expect(told(await plan({ jobId: past.id, mode: 'current' }), 'changed')).toEqual(['project']);
  });
});

describe('a relaunch of the template as it is now', () => {
  it('shows the differences, and runs with the past prompts', async () => {
    const past = await pastJob();
    const newer = await world.objects.put(Buffer.from(`newer ${randomUUID()}`));
    Object.assign(world.neighbours.snapshot, { forks: 7, jobTemplateVersion: 2 });
    world.machine.images.set('registry.example/ee:1', 'sha256:d2');
    instead()[PinProject.name] = () => ({ commit: 'beef', branch: 'main', archive: newer, collectionsLock: null }); // prettier-ignore
    instead()[SnapshotInventory.name] = () => ({ object: newer, totalHosts: 4 });
    instead()[PinCredentials.name] = () => ({ credentials: [credential(2)] });
    const seen = await plan({ jobId: past.id, mode: 'current' });
    expect(told(seen, 'changed')).toEqual(['template', 'project', 'inventory', 'image', 'credential', 'collections']); // prettier-ignore
    expect(seen.items.find(({ part }) => part === 'image')).toMatchObject({ was: 'sha256:d1', now: 'sha256:d2' }); // prettier-ignore
    expect(seen.items.find(({ part }) => part === 'inventory')?.message).toContain('1 added (new)');
    expect(seen.needsAcceptance).toBe(false);

    const { jobId } = await relaunch({ jobId: past.id, mode: 'current' });
    expect(await world.until(jobId, over)).toMatchObject({
      status: 'successful',
      snapshot: { forks: 7 },
      pinned: { project: { commit: 'beef' }, image: { digest: 'sha256:d2' }, credentials: [{ version: 2 }] },
    });
  });
});

describe('a relaunch on failed hosts', () => {
  const failed = (names: string[]) => {
    instead()[ListHostSummaries.name] = ({ after, first = 200 }: InputOf<typeof ListHostSummaries>) => {
      const rest = names.filter((name) => name > (after ?? ''));
      const items = rest.slice(0, first).map((host) => ({ host, ok: 0, changed: 0, failures: 1, dark: 0, skipped: 0, rescued: 0, ignored: 0 })); // prettier-ignore
      return { items, hasNextPage: rest.length > first, totalCount: names.length };
    };
  };

  it('limits the pod to them by name, thousands of them too', async () => {
    const past = await pastJob();
    const names = Array.from({ length: 2_500 }, (_, index) => `host-${String(index).padStart(5, '0')}`);
    failed(names);
    const seen = await plan({ jobId: past.id, mode: 'exact', hosts: 'failed' });
    expect(seen.limitHosts).toMatchObject({ total: 2_500 });
    expect(seen.limitHosts?.names).toHaveLength(20);
    const { jobId } = await relaunch({ jobId: past.id, mode: 'exact', hosts: 'failed' });
    const job = await world.until(jobId, over);
    expect(job).toMatchObject({ limitHosts: 2_500, relaunchOf: { hosts: 'failed' } });
    const { payload } = world.neighbours.opened.find((record) => record.jobId === jobId)!;
    expect(payload.limitHosts).toEqual(names);
    expect(payload.arguments.join(' ')).not.toContain('limit');
    const { entries } = await world.gateway.call(GetTimeline, { jobId }, { principal: world.alice });
    expect(entries[0]!.data).toMatchObject({ parentJobId: past.id });

    // Run again as it was, it is limited to the same ones.
    const again = await relaunch({ jobId, mode: 'exact' });
    expect((await world.until(again.jobId, over)).limitHosts).toBe(2_500);
  });

  it('is refused when none failed, when there is no record, when it is gone, and while the job runs', async () => {
    const past = await pastJob();
    const input = { jobId: past.id, mode: 'current' as const, hosts: 'failed' as const };
    await expect(relaunch(input)).rejects.toMatchObject({
      code: 'refused',
      details: { reason: 'none_failed' },
    });
    instead()[ListHostSummaries.name] = () => {
      throw new PlatformError('refused', 'The record was dropped.', {
        details: { reason: 'record_dropped' },
      });
    };
    await expect(relaunch(input)).rejects.toMatchObject({ details: { reason: 'record_dropped' } });
    instead()[ListHostSummaries.name] = () => {
      throw new PlatformError('not_found', 'no record');
    };
    await expect(relaunch(input)).rejects.toMatchObject({ message: expect.stringContaining('no record of its hosts') }); // prettier-ignore
    await expect(relaunch({ ...input, changes: { limit: 'web' } })).rejects.toMatchObject({
      code: 'invalid',
    });
    world.machine.onStart = () => undefined;
    const running = await world.launch();
    await expect(plan({ ...input, jobId: running })).rejects.toMatchObject({
      details: { reason: 'not_over' },
    });
    world.machine.onStart = work;
  });
});

describe('who may relaunch', () => {
  it('is said by the owner of the template, now, for the person who asks', async () => {
    const past = await pastJob();
    const stranger = testPrincipal({ username: 'mallory' });
    const input = { jobId: past.id, mode: 'exact' as const };
    await expect(relaunch(input, stranger)).rejects.toMatchObject({ code: 'not_found' });
    await expect(plan(input, stranger)).rejects.toMatchObject({ code: 'not_found' });
    const forbidding = () => {
      throw new PlatformError('forbidden', 'may not execute');
    };
    instead()[RepeatSnapshot.name] = forbidding;
    instead()[SnapshotJobTemplate.name] = forbidding;
    for (const mode of ['exact', 'current'] as const) {
      await expect(plan({ jobId: past.id, mode })).rejects.toMatchObject({ code: 'forbidden' });
      await expect(relaunch({ jobId: past.id, mode })).rejects.toMatchObject({ code: 'forbidden' });
    }
    delete instead()[RepeatSnapshot.name];
    instead()[PinCredentials.name] = forbidding;
    await expect(relaunch(input)).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('asks the vault for `use` of what the template does not name any more', async () => {
    const past = await pastJob();
    let asked: InputOf<typeof PinCredentials> | null = null;
    instead()[PinCredentials.name] = (input: InputOf<typeof PinCredentials>) => {
      asked = input;
      return { credentials: [credential(1)] };
    };
    await plan({ jobId: past.id, mode: 'exact' });
    expect(asked).toEqual({ credentialIds: [credentialId], prompted: [credentialId] });
  });
});
