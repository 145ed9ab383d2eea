/** A job of 1,000,000 events, made once for all cases that read it, and jobs that the API knows for others. */
import { launch } from '../jobs.command.js';
import type { CaseContext } from './case.js';
import { startLoad } from './load.process.js';
import { makeTemplate } from './objects.js';
import type { BenchJob } from './pod.js';
import { watchMemory } from './processes.js';
import { countRecord } from './record.js';
import type { Figures } from './result.js';
import { untilOver } from './start.case.js';
import type { World } from './world.js';

/** As fast as ingest answers: the agent never waits for an event. */
const AT_ONCE = 1_000_000;
const templates = new WeakMap<World, Promise<string>>();

/**
 * A job that the API knows and that no pod runs: its branch does not exist, so it ends when it is pinned, before it has a record.
 * The bench then opens the record under its id and fills it as an agent would.
 */
export const knownJob = async ({ world }: CaseContext): Promise<BenchJob> => {
  if (!templates.has(world))
    templates.set(
      world,
      makeTemplate(world.endpoint, {
        name: 'Bench read',
        playbook: 'chatty.yml',
        hosts: 10,
        scmBranch: 'there-is-no-such-branch',
      }),
    );
  const id = await launch(world.endpoint, await templates.get(world)!, {});
  await untilOver(world.endpoint, id);
  return (await world.openAs([id]))[0]!;
};

/** A job and what taking it cost ingest. */
export interface BigJob {
  job: BenchJob;
  events: number;
  filled: Required<Pick<Figures, 'rssMb' | 'lost' | 'duplicated'>>;
}
const made = new WeakMap<World, Promise<BigJob>>();

/** The job of 1,000,000 events (20,000 in a tiny run: more lines than the page has in what it scrolls) of a world. */
export const bigJob = (context: CaseContext): Promise<BigJob> => {
  const { world } = context;
  if (!made.has(world)) made.set(world, makeBigJob(context));
  return made.get(world)!;
};

const makeBigJob = async (context: CaseContext): Promise<BigJob> => {
  const { world, say, sized } = context;
  const events = sized(1_000_000, 20_000);
  const job = await knownJob(context);
  say(`a job of ${events} events`);
  const load = await startLoad(world, { jobs: [job], eventsPerJob: events, eventsPerSecond: AT_ONCE });
  try {
    const memory = watchMemory(world.pid('ingest'));
    const { heads } = await load.go();
    await load.finish();
    const filled = { rssMb: memory.stop(), ...(await countRecord(world, heads, events)) };
    await world.settle();
    return { job, events, filled };
  } finally {
    load.stop();
  }
};
