/** `start`, `memory`, `launch` and `first-event`: the budgets of one machine, all services in one process as ./gantry up has them. */
import { execFileSync } from 'node:child_process';
import { PlatformError } from '@gantry/contracts/errors';
import { follow, request, type Endpoint } from '../client.js';
import { readMachine } from '../home.js';
import { getJob, launch } from '../jobs.command.js';
import { DEMO_TEMPLATE } from '../seed.js';
import type { BenchCase, CaseContext } from './case.js';
import { createLatencies } from './latencies.js';
import { residentMb } from './processes.js';
import { most, type Report } from './result.js';

const median = (values: number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

const seconds = async (run: () => Promise<unknown> | unknown): Promise<number> => {
  const started = performance.now();
  await run();
  return (performance.now() - started) / 1_000;
};

/** Waits for a job's end; its final status. */
export const untilOver = async (endpoint: Endpoint, id: string): Promise<string> => {
  for (;;) {
    const { status } = await getJob(endpoint, id);
    if (['SUCCESSFUL', 'FAILED', 'ERROR', 'CANCELED'].includes(status)) return status;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
};

/** Runs something in the demo's execution environment, without Gantry. */
export const inImage = (script: string, options: string[] = []): void => {
  const { engine, eeImage } = readMachine();
  if (!engine.command)
    throw new PlatformError('refused', 'The reference needs podman or docker on this machine.');
  execFileSync(engine.command, ['run', '--rm', '--pull=never', ...options, eeImage, 'sh', '-c', script], {
    env: { ...process.env, ...engine.env },
    stdio: ['ignore', 'ignore', 'ignore'],
  });
};

/** The second start of an installation: the runner of the bench has just made it. */
export const startCase: BenchCase = {
  name: 'start',
  title: './gantry up, second time',
  mode: 'embedded',
  run: async ({ world }) => [
    {
      case: 'start',
      what: './gantry up on an installation that has been up before, until everything is ready',
      seconds: world.startSeconds,
      bounds: [most('start: seconds of ./gantry up, second time', world.startSeconds, 10)],
    },
  ],
};

/** Resident memory of an installation that does nothing. */
export const memoryCase: BenchCase = {
  name: 'memory',
  title: 'memory of all services in one process, idle',
  mode: 'embedded',
  run: async ({ world }) => {
    await world.settle();
    const rssMb = residentMb(world.pid('services')) + residentMb(world.pid('nats'));
    return [
      {
        case: 'memory',
        what: 'resident memory of all services in one process and nats-server, idle, Postgres left out',
        rssMb,
        bounds: [most('memory: MB of all services, idle', rssMb, 600)],
      },
    ];
  },
};

const firstEvent = async (endpoint: Endpoint): Promise<string> => {
  const id = await launch(endpoint, DEMO_TEMPLATE, {});
  for await (const batch of follow(endpoint, id)) if (batch.lastCounter > 0) break;
  return id;
};

const PLAY = '[{"hosts":"localhost","gather_facts":false,"connection":"local","tasks":[]}]';
const RUNNER = `mkdir -p /tmp/r/project && echo '${PLAY}' > /tmp/r/project/p.json && ansible-runner run /tmp/r -p p.json -j | head -1`;

const measureFirstEvent = async ({ world, sized }: CaseContext): Promise<Report> => {
  const [ours, byHand]: [number[], number[]] = [[], []];
  for (let run = 0; run < sized(5, 1); run++) {
    let id = '';
    ours.push(await seconds(async () => (id = await firstEvent(world.endpoint))));
    await untilOver(world.endpoint, id);
    byHand.push(await seconds(() => inImage(RUNNER)));
  }
  const [own, reference] = [median(ours), median(byHand)];
  return {
    case: 'first-event',
    what: 'launch until a subscriber sees the first event, image cached; beside ansible-runner by hand in the same image until its first event (medians)',
    seconds: own,
    reference: { seconds: reference },
    ratio: own / reference,
    bounds: [most('first-event: seconds more than ansible-runner by hand', own - reference, 1)],
  };
};

const measureLaunch = async ({ world, sized }: CaseContext): Promise<Report> => {
  const latencies = createLatencies();
  const ids: string[] = [];
  for (let run = 0; run < sized(20, 2); run++)
    latencies.add(
      (await seconds(async () => ids.push(await launch(world.endpoint, DEMO_TEMPLATE, {})))) * 1_000,
    );
  for (const id of ids)
    await request(world.endpoint, 'mutation ($id: ID!) { cancelJob(id: $id, force: true) { __typename } }', {
      id,
    });
  for (const id of ids) await untilOver(world.endpoint, id);
  const percentiles = latencies.percentiles();
  return {
    case: 'launch',
    what: `the mutation launchJob until it is durably accepted, ${ids.length} in a row while their jobs start`,
    ...percentiles,
    bounds: [most('launch: p99 ms of the mutation', percentiles.p99Ms, 50)],
  };
};

/** Launching, from the mutation to the first event. */
export const launchCase: BenchCase = {
  name: 'launch',
  title: 'the launch mutation, and launch to first event beside ansible-runner by hand',
  mode: 'embedded',
  run: async (context) => {
    context.say('launch to first event, and by hand');
    const first = await measureFirstEvent(context);
    context.say('launches in a row');
    return [await measureLaunch(context), first];
  },
};
