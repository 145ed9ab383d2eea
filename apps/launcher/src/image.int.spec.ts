import { PlatformError } from '@gantry/contracts/errors';
import { ImageInspectionRequested, NoteImageOnEngine } from '@gantry/contracts/image';
import type { RunningService } from '@gantry/service/boot';
import { eventually } from '@gantry/testkit/eventually';
import { startNats } from '@gantry/testkit/nats';
import { freshDatabase } from '@gantry/testkit/postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inspectionPodName, withoutPython } from './pod/inspection.js';
import { createWorld, type World } from './testing/world.js';

let world: World;
let launcher: RunningService;
const digest = (n: number): string => `sha256:${String(n).repeat(64)}`;
const ask = (of: string, image = 'localhost/ee:1') =>
  world.publish(ImageInspectionRequested, `image-${of.slice(7)}`, {
    digest: of,
    image,
    cause: 'person',
    requestedAt: new Date().toISOString(),
  });
const answers = () => world.neighbours.inspected;

beforeAll(async () => {
  const [database, nats] = await Promise.all([freshDatabase(), startNats()]);
  world = await createWorld({ database, nats });
});
afterAll(async () => world?.close());

describe('a launcher', () => {
  it('looks into images one at a time, as it is asked to', async () => {
    const { machine } = world;
    const running = new Set<string>();
    let most = 0;
    machine.onStart = ({ state: { name } }) => {
      running.add(name);
      most = Math.max(most, running.size);
      machine.output.set(name, JSON.stringify(withoutPython));
      setTimeout(() => {
        running.delete(name);
        machine.exit(name, 0);
      }, 20);
    };
    launcher = await world.startLauncher();
    await Promise.all([1, 2, 3].map((n) => ask(digest(n))));
    await eventually(() => answers().length === 3);
    expect(most).toBe(1);
    expect(answers().map((answer) => answer.digest).sort()).toEqual([1, 2, 3].map(digest)); // prettier-ignore
    for (const { found } of answers()) expect(found).toMatchObject({ report: withoutPython });
    await eventually(() => machine.pods.size === 0);
  });

  it('says why it could not', async () => {
    const { machine } = world;
    await ask(digest(4), 'localhost/missing:1');
    await eventually(() => answers().length === 4);
    expect(answers()[3]).toMatchObject({ digest: digest(4), found: { code: 'image_not_present' } });
    machine.onStart = ({ state }) => machine.exit(state.name, 1);
    await ask(digest(5));
    await eventually(() => answers().length === 5);
    expect(answers()[4]).toMatchObject({ digest: digest(5), found: { code: 'inspector_failed' } });
  });

  it('that takes over goes on with the pod that it finds', async () => {
    const { machine } = world;
    machine.onStart = () => undefined;
    const name = inspectionPodName(digest(6));
    await ask(digest(6));
    await eventually(() => machine.pods.get(name)?.state.phase === 'running');
    await launcher.stop();
    launcher = await world.startLauncher();
    machine.output.set(name, JSON.stringify(withoutPython));
    machine.exit(name, 0);
    await eventually(() => answers().length === 6);
    expect(machine.made.filter((made) => made === name)).toHaveLength(1);
    expect(answers()[5]).toMatchObject({ digest: digest(6), found: { report: withoutPython } });
  });

  it('tells once which image a job has brought to the engine', async () => {
    world.machine.onStart = ({ state }) => world.machine.exit(state.name, 1);
    world.machine.images.set(world.neighbours.image, digest(9));
    for (let n = 0; n < 2; n++) {
      const job = await world.launch();
      await world.until(job, ({ status }) => status === 'error');
    }
    expect(world.neighbours.onEngine).toEqual([digest(9)]);
  });

  it("is in no job's way: not while it looks, and not when the registry takes no note", async () => {
    const { machine, neighbours } = world;
    const isInspection = (name: string) => name === inspectionPodName(digest(7));
    neighbours.instead[NoteImageOnEngine.name] = () => {
      throw new PlatformError('unavailable', 'The registry is away.');
    };
    machine.images.set('localhost/other:1', digest(8));
    neighbours.image = 'localhost/other:1';
    machine.onStart = ({ state }) => {
      if (!isInspection(state.name)) machine.exit(state.name, 1);
    };
    const before = answers().length;
    await ask(digest(7));
    await eventually(() => [...machine.pods.keys()].some(isInspection));
    const job = await world.launch();
    await world.until(job, ({ status }) => status === 'error');
    expect([...machine.pods.keys()].some(isInspection)).toBe(true);
    expect(answers()).toHaveLength(before);
    machine.output.set(inspectionPodName(digest(7)), JSON.stringify(withoutPython));
    machine.exit(inspectionPodName(digest(7)), 0);
    await eventually(() => answers().length === before + 1);
  });
});
