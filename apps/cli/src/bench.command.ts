/**
 * `gantry bench`: the budgets that this installation can be held against today, each as a ratio to a reference of the same run.
 * docs/BUDGETS.md says what each figure means.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { PlatformError } from '@gantry/contracts/errors';
import { findEndpoint, follow, type Endpoint } from './client.js';
import { readMachine } from './home.js';
import { getJob, launch } from './jobs.command.js';
import { DEMO_TEMPLATE } from './seed.js';
import { readState } from './state.js';
import { exitCodes, print, printJson, step, table } from './terminal.js';

const RUNS = 5;
const LAUNCHES = 20;

/** One figure. `bound` is the design's; null where it gives none. */
interface Figure {
  what: string;
  value: number;
  unit: string;
  bound: number | null;
  how: string;
}

/** Measures and prints; exit code 1 if a bound is missed. */
export const benchCommand = async (options: { json?: boolean }): Promise<number> => {
  const endpoint = findEndpoint();
  const figures: Figure[] = [];
  await step(
    'launch to first event, and the same by hand',
    async () => void figures.push(...(await launchToFirstEvent(endpoint))),
  );
  await step(`${LAUNCHES} launches in a row`, async () => void figures.push(await launchLatency(endpoint)));
  await step('memory', async () => void figures.push(memory()));
  const missed = figures.filter((figure) => figure.bound !== null && figure.value > figure.bound);
  if (options.json) printJson(figures);
  else
    print(
      table(
        ['what', 'value', 'bound', 'how'],
        figures.map((figure) => [
          figure.what,
          `${round(figure.value)} ${figure.unit}`,
          figure.bound === null ? '' : `${figure.bound} ${figure.unit}`,
          figure.how,
        ]),
      ),
    );
  return missed.length === 0 ? exitCodes.ok : exitCodes.failed;
};

const round = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toFixed(2));
const median = (values: number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

const seconds = async (run: () => Promise<unknown> | unknown): Promise<number> => {
  const started = performance.now();
  await run();
  return (performance.now() - started) / 1_000;
};

/** Until the first event of a job is seen by a subscriber. */
const firstEvent = async (endpoint: Endpoint): Promise<string> => {
  const id = await launch(endpoint, DEMO_TEMPLATE, {});
  for await (const batch of follow(endpoint, id)) if (batch.events.length > 0) break;
  return id;
};

const launchToFirstEvent = async (endpoint: Endpoint): Promise<Figure[]> => {
  const ours: number[] = [];
  const byHand: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    let id = '';
    ours.push(await seconds(async () => (id = await firstEvent(endpoint))));
    await untilOver(endpoint, id);
    byHand.push(await seconds(runnerByHand));
  }
  return [
    {
      what: 'launch to first event',
      value: median(ours),
      unit: 's',
      bound: null,
      how: `median of ${RUNS}, image cached`,
    },
    {
      what: 'launch to first event, less ansible-runner by hand',
      value: median(ours) - median(byHand),
      unit: 's',
      bound: 1,
      how: `by hand, until the first event: ${round(median(byHand))} s`,
    },
  ];
};

/** The reference: the image's own ansible-runner until it prints its first event. */
const runnerByHand = (): void => {
  const { engine, eeImage } = readMachine();
  if (!engine.command)
    throw new PlatformError('refused', 'The reference needs podman or docker on this machine.');
  const play = '[{"hosts":"localhost","gather_facts":false,"connection":"local","tasks":[]}]';
  const script = `mkdir -p /tmp/r/project && echo '${play}' > /tmp/r/project/p.json && ansible-runner run /tmp/r -p p.json -j | head -1`;
  execFileSync(engine.command, ['run', '--rm', '--pull=never', eeImage, 'sh', '-c', script], {
    env: { ...process.env, ...engine.env },
    stdio: ['ignore', 'ignore', 'ignore'],
  });
};

const launchLatency = async (endpoint: Endpoint): Promise<Figure> => {
  const latencies: number[] = [];
  const ids: string[] = [];
  for (let run = 0; run < LAUNCHES; run++)
    latencies.push((await seconds(async () => ids.push(await launch(endpoint, DEMO_TEMPLATE, {})))) * 1_000);
  for (const id of ids) await untilOver(endpoint, id);
  const worst = Math.max(...latencies);
  return {
    what: 'launch mutation, p99',
    value: worst,
    unit: 'ms',
    bound: 50,
    how: `worst of ${LAUNCHES}, p50 ${round(median(latencies))} ms, while their jobs start`,
  };
};

const untilOver = async (endpoint: Endpoint, id: string): Promise<void> => {
  while (!['SUCCESSFUL', 'FAILED', 'ERROR', 'CANCELED'].includes((await getJob(endpoint, id)).status))
    await new Promise((resolve) => setTimeout(resolve, 200));
};

/** Resident memory of Gantry's own processes, Postgres left out as in the design. */
const memory = (): Figure => {
  const parts = Object.entries(readState()?.parts ?? {}).filter(
    ([name, part]) => part.pid !== null && !['postgres', 'engine', 'git'].includes(name),
  );
  const resident = parts.map(
    ([, part]) =>
      Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${part.pid}/status`, 'utf8'))?.[1] ?? 0) / 1024,
  );
  return {
    what: 'memory of all services and nats-server',
    value: resident.reduce((sum, value) => sum + value, 0),
    unit: 'MiB',
    bound: 600,
    how: 'resident, after the jobs above',
  };
};
