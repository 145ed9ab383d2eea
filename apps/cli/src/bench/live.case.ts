/** `live`: from an event being printed in a pod to its being read by 1, 100 and 1,000 watchers; and what one that never reads does to ingest. */
import type { BenchCase, CaseContext } from './case.js';
import { startLoad } from './load.process.js';
import { residentMb } from './processes.js';
import { countRecord } from './record.js';
import { most, type Figures, type Report } from './result.js';
import { startWatchers } from './watch.process.js';

const EVENTS_PER_SECOND = 2_000;
/** How long after the last event a watcher may take before what it lacks counts as lost. */
const PATIENCE_MILLISECONDS = 60_000;

const measure = async (
  { world, say, sized }: CaseContext,
  name: string,
  watchers: number,
): Promise<Report> => {
  const eventsPerJob = EVENTS_PER_SECOND * sized(10, 1);
  const jobs = await world.open(1);
  const jobIds = jobs.map(({ jobId }) => jobId);
  const watching = await startWatchers(world, { jobIds, watchers });
  const load = await startLoad(world, { jobs, eventsPerJob, eventsPerSecond: EVENTS_PER_SECOND });
  try {
    await world.settle();
    const before = world.cpu();
    const { seconds, heads, printed } = await load.go();
    const watched = await watching.collect(eventsPerJob, printed, PATIENCE_MILLISECONDS);
    const used = world.cpu() - before;
    const kept = await countRecord(world, heads, eventsPerJob);
    if (watched.cameBack > 0) say(`${watched.cameBack} times a watcher was cut off and came back`);
    say(`the watchers' own CPU: ${watched.cpuSeconds.toFixed(1)} s`);
    return {
      case: name,
      what: `one job prints ${EVENTS_PER_SECOND} events/s, ${watchers} ${watchers === 1 ? 'watcher' : 'watchers'}; printed until read, every event at every watcher`,
      events: eventsPerJob,
      seconds,
      eventsPerSecond: eventsPerJob / seconds,
      cpuSecondsPer1000Events: (used / eventsPerJob) * 1_000,
      ...watched.latency,
      rssMb: residentMb(world.pid('gateway')),
      lost: watched.lost + kept.lost,
      duplicated: watched.duplicated + kept.duplicated,
      bounds: [
        most(`${name}: lost or twice`, watched.lost + watched.duplicated + kept.lost + kept.duplicated, 0),
      ],
    };
  } finally {
    watching.stop();
    load.stop();
  }
};

const flood = async (
  { world, sized }: CaseContext,
  stalled: boolean,
): Promise<
  Required<
    Pick<
      Figures,
      'events' | 'seconds' | 'eventsPerSecond' | 'cpuSecondsPer1000Events' | 'lost' | 'duplicated'
    >
  >
> => {
  const jobs = await world.open(sized(10, 2));
  // So many that what the buffers of the kernel take in of the watched job is little: a watcher costs until they are full.
  const eventsPerJob = sized(60_000, 400);
  const events = jobs.length * eventsPerJob;
  const load = await startLoad(world, { jobs, eventsPerJob });
  const watching = stalled
    ? await startWatchers(world, { jobIds: [jobs[0]!.jobId], watchers: 1, stalled: true })
    : null;
  try {
    await world.settle();
    const before = world.cpu();
    const { seconds, heads } = await load.go();
    const used = world.cpu() - before;
    return {
      events,
      seconds,
      eventsPerSecond: events / seconds,
      cpuSecondsPer1000Events: (used / events) * 1_000,
      ...(await countRecord(world, heads, eventsPerJob)),
    };
  } finally {
    watching?.stop();
    load.stop();
  }
};

const middle = <T extends { seconds: number }>(runs: T[]): T =>
  [...runs].sort((a, b) => a.seconds - b.seconds)[Math.floor(runs.length / 2)]!;

const measureStalled = async (context: CaseContext): Promise<Report> => {
  const [without, having] = [[], []] as [
    Awaited<ReturnType<typeof flood>>[],
    Awaited<ReturnType<typeof flood>>[],
  ];
  for (let run = 0; run < context.sized(3, 1); run++) {
    without.push(await flood(context, false));
    having.push(await flood(context, true));
  }
  const [own, reference] = [middle(having), middle(without)];
  return {
    case: 'live-stalled',
    what: '10 jobs as fast as ingest takes them, a watcher of one of them subscribes and never reads; beside the same without (medians, alternating)',
    ...own,
    reference,
    ratio: own.seconds / reference.seconds,
    bounds: [most('live-stalled: ingest slowed by', own.seconds / reference.seconds, 1.05)],
  };
};

/** The case. */
export const liveCase: BenchCase = {
  name: 'live',
  title: 'delivery latency at 2,000 events/s to 1, 100 and 1,000 watchers; a watcher that never reads',
  mode: 'separate',
  run: async (context) => {
    const { say, sized } = context;
    const reports: Report[] = [];
    for (const [name, watchers] of [
      ['live-1', 1],
      ['live', sized(100, 4)],
      ['live-1000', sized(1_000, 10)],
    ] as const) {
      say(`${watchers} ${watchers === 1 ? 'watcher' : 'watchers'}`);
      const report = await measure(context, name, watchers);
      if (name === 'live')
        report.bounds.push(
          most('live: p50 ms with 100 watchers', report.p50Ms!, 100),
          most('live: p99 ms with 100 watchers', report.p99Ms!, 300),
        );
      reports.push(report);
    }
    say('a watcher that never reads');
    return [...reports, await measureStalled(context)];
  },
};
