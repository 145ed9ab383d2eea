/**
 * `cost`: what a job and what 1,000 events cost in each part, in CPU seconds: the numbers that docs/SCALING.md reckons with.
 * Of each part two figures: `seconds` a job (launched, its pod made, its record sealed, its pod gone), with what the part uses
 * when idle taken off; and `cpuSecondsPer1000Events`, sent by 100 jobs with a watcher each.
 */
import { execFileSync } from 'node:child_process';
import { PlatformError } from '@gantry/contracts/errors';
import { readMachine } from '../home.js';
import { launch } from '../jobs.command.js';
import type { BenchCase, CaseContext } from './case.js';
import { BATCH_EVENTS } from './load.process.js';
import { measureFlood } from './ingest.case.js';
import { startLoad } from './load.process.js';
import { makeTemplate } from './objects.js';
import { countRecord } from './record.js';
import type { Report } from './result.js';
import { untilOver } from './start.case.js';
import { startWatchers } from './watch.process.js';

type Parts = Record<string, number>;

const IDLE_MILLISECONDS = 5_000;
const PATIENCE_MILLISECONDS = 60_000;
const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

const less = (after: Parts, before: Parts): Parts =>
  Object.fromEntries(Object.entries(after).map(([name, value]) => [name, value - (before[name] ?? 0)]));

/** CPU seconds a job and part, the idle use of the same time taken off. */
const costOfJob = async ({ world, sized }: CaseContext): Promise<Parts> => {
  const template = await makeTemplate(world.endpoint, {
    name: 'Bench cost',
    playbook: 'chatty.yml',
    hosts: 1,
  });
  await untilOver(world.endpoint, await launch(world.endpoint, template, { extraVars: ['items=1'] }));
  await world.settle();
  const idleFrom = world.cpuByPart();
  await pause(IDLE_MILLISECONDS);
  const idle = less(world.cpuByPart(), idleFrom);
  const jobs = sized(10, 1);
  const [before, started] = [world.cpuByPart(), performance.now()];
  for (let job = 0; job < jobs; job++)
    await untilOver(world.endpoint, await launch(world.endpoint, template, { extraVars: ['items=1'] }));
  const share = (performance.now() - started) / IDLE_MILLISECONDS;
  return Object.fromEntries(
    Object.entries(less(world.cpuByPart(), before)).map(([name, used]) => [
      name,
      Math.max(0, used - idle[name]! * share) / jobs,
    ]),
  );
};

/** CPU seconds for 1,000 events and part. */
const costOfEvents = async ({ world, sized }: CaseContext): Promise<{ parts: Parts; events: number }> => {
  const jobs = await world.open(sized(100, 4));
  const eventsPerJob = sized(1_000, 400);
  const events = jobs.length * eventsPerJob;
  const watching = await startWatchers(world, {
    jobIds: jobs.map(({ jobId }) => jobId),
    watchers: jobs.length,
  });
  const load = await startLoad(world, { jobs, eventsPerJob });
  try {
    await world.settle();
    const before = world.cpuByPart();
    const { heads } = await load.go();
    await watching.collect(eventsPerJob, new Float64Array(0), PATIENCE_MILLISECONDS);
    const used = less(world.cpuByPart(), before);
    const { lost, duplicated } = await countRecord(world, heads, eventsPerJob);
    if (lost + duplicated > 0)
      throw new PlatformError('refused', `cost: ${lost} events lost, ${duplicated} twice.`);
    const parts = Object.entries(used).map(([name, seconds]) => [name, (seconds / events) * 1_000]);
    return { parts: Object.fromEntries(parts) as Parts, events };
  } finally {
    watching.stop();
    load.stop();
  }
};

/** CPU seconds of ansible-playbook alone in the image, by the shell's own `times`. */
const costInPod = (items: number): number => {
  const { engine, eeImage } = readMachine();
  const playbook = `[{"hosts":"all","gather_facts":false,"connection":"local","tasks":[{"debug":{"msg":"line {{ item }}"},"loop":"{{ range(${items}) | list }}"}]}]`;
  const script = `cd /tmp && echo '${playbook}' > p.json && ansible-playbook -i localhost, p.json > /dev/null; times`;
  const output = execFileSync(
    engine.command!,
    [
      'run',
      '--rm',
      '--pull=never',
      '--network=none',
      '--tmpfs=/tmp:exec,mode=1777',
      eeImage,
      'sh',
      '-c',
      script,
    ],
    { env: { ...process.env, ...engine.env }, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const spent = [...output.matchAll(/(\d+)m([\d.]+)s/g)].map(
    (found) => Number(found[1]) * 60 + Number(found[2]),
  );
  return spent.reduce((sum, seconds) => sum + seconds, 0);
};

/** The case. */
export const costCase: BenchCase = {
  name: 'cost',
  title: 'CPU seconds of a job and of 1,000 events in each part',
  mode: 'separate',
  run: async (context) => {
    const { say, sized } = context;
    // As in `ingest`: the first time costs more.
    await measureFlood(context, {
      jobs: sized(20, 2),
      eventsPerJob: sized(2_000, 200),
      batchEvents: BATCH_EVENTS,
    });
    say('events');
    const { parts, events } = await costOfEvents(context);
    say('jobs');
    const jobs = await costOfJob(context);
    const reports = Object.keys(parts).map((part): Report => ({
      case: `cost-${part}`,
      what: `CPU of ${part}: seconds a job, and for 1,000 events with a watcher a job`,
      events,
      seconds: jobs[part],
      cpuSecondsPer1000Events: parts[part],
      bounds: [],
    }));
    if (!readMachine().engine.command) return reports;
    say('ansible-playbook itself');
    const items = sized(1_000, 20);
    const [one, many] = [costInPod(1), costInPod(items)];
    return [
      ...reports,
      {
        case: 'cost-pod',
        what: 'CPU of ansible-playbook alone in the image, without the agent: seconds of a job of one message, and for 1,000 messages more',
        events: items,
        seconds: one,
        cpuSecondsPer1000Events: ((many - one) / items) * 1_000,
        bounds: [],
      },
    ];
  },
};
