/** `ingest`: what it costs to take events durably, at 1, 100 and 500 jobs; beside COPY of the same events one row each. */
import type { BenchCase, CaseContext } from './case.js';
import { copyRows } from './copy.process.js';
import { BATCH_EVENTS, HOSTS, startLoad } from './load.process.js';
import { watchMemory } from './processes.js';
import { countRecord, storedBytes } from './record.js';
import { least, most, type Figures, type Report } from './result.js';

/** Sends batches made beforehand, as fast as they are taken. */
export const measureFlood = async (
  { world }: CaseContext,
  settings: { jobs: number; eventsPerJob: number; batchEvents: number; targets?: string[] },
): Promise<{
  figures: Required<
    Pick<
      Figures,
      | 'events'
      | 'seconds'
      | 'eventsPerSecond'
      | 'cpuSecondsPer1000Events'
      | 'bytesPerEvent'
      | 'rssMb'
      | 'lost'
      | 'duplicated'
    >
  >;
  jobIds: string[];
}> => {
  const jobs = await world.open(settings.jobs);
  const events = settings.jobs * settings.eventsPerJob;
  const load = await startLoad(world, {
    jobs,
    ...(settings.targets && { targets: settings.targets }),
    eventsPerJob: settings.eventsPerJob,
    batchEvents: settings.batchEvents,
  });
  try {
    await world.settle();
    const bytes = await storedBytes(world);
    const memory = watchMemory(world.pid('ingest'));
    const before = world.cpu();
    const { seconds, heads } = await load.go();
    const used = world.cpu() - before;
    const rssMb = memory.stop();
    await load.finish();
    const counted = await countRecord(world, heads, settings.eventsPerJob);
    return {
      jobIds: jobs.map(({ jobId }) => jobId),
      figures: {
        events,
        seconds,
        eventsPerSecond: events / seconds,
        cpuSecondsPer1000Events: (used / events) * 1_000,
        bytesPerEvent: ((await storedBytes(world)) - bytes) / events,
        rssMb,
        ...counted,
      },
    };
  } finally {
    load.stop();
  }
};

const report = (name: string, jobs: number, figures: Figures, reference: Figures): Report => ({
  case: name,
  what: `${jobs} ${jobs === 1 ? 'job' : 'jobs'}, batches of ${BATCH_EVENTS}, over HTTP until committed; beside COPY of the same events, one jsonb row each`,
  ...figures,
  reference,
  ratio: figures.cpuSecondsPer1000Events! / reference.cpuSecondsPer1000Events!,
  bounds: [
    most(`${name}: CPU seconds per 1,000 events`, figures.cpuSecondsPer1000Events!, 0.025),
    most(`${name}: lost or twice`, figures.lost! + figures.duplicated!, 0),
  ],
});

/** The case. */
export const ingestCase: BenchCase = {
  name: 'ingest',
  title: 'events taken durably at 1, 100 and 500 jobs; beside COPY one row each',
  mode: 'separate',
  run: async (context) => {
    const { say, sized } = context;
    const measured: { name: string; jobs: number; events: number }[] = [
      { name: 'ingest-1', jobs: 1, events: sized(80_000, 400) },
      { name: 'ingest', jobs: sized(100, 3), events: sized(4_000, 400) },
      { name: 'ingest-500', jobs: sized(500, 5), events: sized(1_600, 400) },
    ];
    // What a process does for the first time costs more: code is compiled, connections are made, files grow.
    say('warm-up');
    await measureFlood(context, {
      jobs: sized(20, 2),
      eventsPerJob: sized(4_000, 200),
      batchEvents: BATCH_EVENTS,
    });
    const reports: Report[] = [];
    for (const { name, jobs, events } of measured) {
      say(`${jobs} ${jobs === 1 ? 'job' : 'jobs'}, ${events * jobs} events`);
      const { figures, jobIds } = await measureFlood(context, {
        jobs,
        eventsPerJob: events,
        batchEvents: BATCH_EVENTS,
      });
      say(`COPY of the same ${figures.events} events, one row each`);
      const reference = await copyRows(context.world, { jobIds, eventsPerJob: events, hosts: HOSTS });
      reports.push(report(name, jobs, figures, reference));
    }
    const costs = reports.map(({ cpuSecondsPer1000Events }) => cpuSecondsPer1000Events!);
    const hundred = reports[1]!;
    hundred.bounds.push(
      least('ingest: events/s, 100 jobs', hundred.eventsPerSecond!, 40_000),
      most(
        'ingest: CPU, dearest of 1, 100, 500 jobs to cheapest',
        Math.max(...costs) / Math.min(...costs),
        1.15,
      ),
    );
    return reports;
  },
};
