import { PlatformError } from '@gantry/contracts/errors';
import { LookUpDigest } from '@gantry/contracts/ee';
import { isFinal } from '@gantry/contracts/job';
import { GetImagePull, PruneImages, PullExecutionEnvironment, type ImagePull } from '@gantry/contracts/pull';
import type { RunningService } from '@gantry/service/boot';
import { newId } from '@gantry/service/context';
import { testPrincipal } from '@gantry/service/testing';
import { eventually } from '@gantry/testkit/eventually';
import { startNats } from '@gantry/testkit/nats';
import { freshDatabase } from '@gantry/testkit/postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createWorld, type World } from './testing/world.js';

let world: World;
let launcher: RunningService;
const root = testPrincipal({ superuser: true, username: 'root' });

beforeAll(async () => {
  const [database, nats] = await Promise.all([freshDatabase(), startNats()]);
  world = await createWorld({ database, nats });
  launcher = await world.startLauncher();
});
afterAll(() => world?.close());
beforeEach(() => {
  const { neighbours, machine } = world;
  Object.keys(neighbours.instead).forEach((name) => delete neighbours.instead[name]);
  Object.assign(neighbours, { image: 'r/ee:1', currentImages: [] });
  Object.assign(machine, { before: () => undefined, registryAway: 0 });
  machine.removed.length = 0;
  machine.onStart = (pod) => {
    const jobId = pod.description.environment['GANTRY_JOB_ID']!;
    neighbours.seals.set(jobId, neighbours.sealOf(jobId));
    machine.exit(pod.state.name, 0);
  };
});

const reader = () => testPrincipal({ organizations: { [world.neighbours.organizationId]: ['read'] } });
const pull = async (executionEnvironmentId = newId(), idempotencyKey: string | null = null) =>
  world.gateway.call(
    PullExecutionEnvironment,
    { executionEnvironmentId, idempotencyKey },
    { principal: world.alice },
  );
const look = (pullId: string, principal = world.alice): Promise<ImagePull> =>
  world.gateway.call(GetImagePull, { pullId }, { principal });
const done = (pullId: string): Promise<ImagePull> =>
  eventually(
    async () => {
      const seen = await look(pullId);
      return seen.status !== 'running' && seen;
    },
    { timeoutMs: 20_000, what: 'the end of the pull' },
  );

describe('the image of an execution environment', () => {
  it('is pulled when somebody asks, and those who may read it see how', async () => {
    world.neighbours.image = 'r/pulled:1';
    const { pullId, created } = await pull();
    expect(created).toBe(true);
    expect(await done(pullId)).toMatchObject({
      status: 'pulled',
      image: 'r/pulled:1',
      digest: 'sha256:d1',
      reason: null,
      requestedBy: 'alice',
    });
    expect(await look(pullId, reader())).toMatchObject({ status: 'pulled' });
    for (const stranger of [testPrincipal(), testPrincipal({ organizations: { [newId()]: ['admin'] } })])
      await expect(look(pullId, stranger)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('is found there, and asked for again when its registry is away', async () => {
    expect(await done((await pull()).pullId)).toMatchObject({ status: 'cached' });
    world.machine.registryAway = 1;
    const { pullId } = await pull();
    await eventually(async () => (await look(pullId)).reason?.code === 'image_registry_unreachable');
    expect(await done(pullId)).toMatchObject({ status: 'cached', reason: null });
  });

  it('that cannot be had says why', async () => {
    world.neighbours.image = 'r/missing:1';
    expect(await done((await pull()).pullId)).toMatchObject({
      status: 'failed',
      reason: { code: 'image_not_found' },
    });
  });

  it('is not pulled for who may not use it: the registry says so', async () => {
    world.neighbours.instead[LookUpDigest.name] = () => {
      throw new PlatformError('forbidden', 'You may not use it.');
    };
    await expect(pull()).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('is pulled once for all who ask at the same time, and once per idempotency key', async () => {
    world.neighbours.image = 'r/slow:1';
    const id = newId();
    const first = await pull(id, 'key');
    expect(await pull(id)).toEqual({ pullId: first.pullId, created: false });
    // The launcher dies over it; the next one goes on.
    await launcher.stop();
    world.neighbours.image = 'r/ee:1';
    world.machine.before = (method) => {
      if (method === 'ensureImage')
        throw new PlatformError('refused', 'No.', { details: { reason: 'image_invalid' } });
    };
    launcher = await world.startLauncher();
    expect(await done(first.pullId)).toMatchObject({ status: 'failed', reason: { code: 'image_invalid' } });
    expect(await pull(id, 'key')).toEqual({ pullId: first.pullId, created: false });
  });
});

describe('a clean-up', () => {
  const prune = async (input: { keepDays: number; dryRun: boolean }, principal = root) =>
    (await world.gateway.call(PruneImages, input, { principal })).images;

  it('is for superusers', async () => {
    for (const principal of [world.alice, testPrincipal({ auditor: true })])
      await expect(prune({ keepDays: 0, dryRun: true }, principal)).rejects.toMatchObject({
        code: 'forbidden',
      });
  });

  it('removes what Gantry has pulled and nothing needs, and nothing else; each step as said', async () => {
    world.neighbours.image = 'r/pulled:2';
    const jobId = await world.launch();
    await world.until(jobId, (job) => isFinal(job.status));
    // Found there, so never Gantry's to remove.
    world.neighbours.image = 'r/found:1';
    await done((await pull()).pullId);
    const gone = { repository: 'r/pulled', digest: 'sha256:d1' };

    expect(await prune({ keepDays: 1, dryRun: false })).toEqual([]);
    world.neighbours.currentImages = [{ image: 'r/pulled:2', digest: 'sha256:d1' }];
    expect(await prune({ keepDays: 0, dryRun: false })).toEqual([]);
    world.neighbours.currentImages = [{ image: 'r/pulled:3', digest: null }];
    expect(await prune({ keepDays: 0, dryRun: false })).toEqual([]);
    world.neighbours.currentImages = [{ image: 'r/other:2', digest: 'sha256:d2' }];
    expect(await prune({ keepDays: 0, dryRun: true })).toMatchObject([
      { ...gone, outcome: 'would_be_removed' },
    ]);
    world.machine.before = (method) => {
      if (method === 'removeImage') throw new PlatformError('refused', 'A container uses it.');
    };
    expect(await prune({ keepDays: 0, dryRun: false })).toMatchObject([
      { ...gone, outcome: 'in_use', words: 'A container uses it.' },
    ]);
    world.machine.before = () => undefined;
    expect(world.machine.removed).toEqual([]);
    expect(await prune({ keepDays: 0, dryRun: false })).toMatchObject([{ ...gone, outcome: 'removed' }]);
    expect(world.machine.removed).toEqual(['r/pulled@sha256:d1']);
    expect(await prune({ keepDays: 0, dryRun: false })).toEqual([]);
  });
});
