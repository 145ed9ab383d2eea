/** `replicas`: two ingest and two gateways; every agent sends to both ingests in turn, watchers spread over both gateways. */
import type { BenchCase, CaseContext } from './case.js';
import { startLoad } from './load.process.js';
import { residentMb } from './processes.js';
import { countRecord } from './record.js';
import { startReplica, type Replica } from './replica.js';
import { most, type Figures } from './result.js';
import { startWatchers } from './watch.process.js';

const PATIENCE_MILLISECONDS = 60_000;

const measure = async (
  { world, sized }: CaseContext,
  targets: string[],
  gateways: string[],
): Promise<Figures> => {
  const jobs = await world.open(sized(100, 4));
  const eventsPerJob = sized(1_000, 400);
  const events = jobs.length * eventsPerJob;
  const watching = await startWatchers(world, {
    urls: gateways,
    jobIds: jobs.map(({ jobId }) => jobId),
    watchers: jobs.length,
  });
  const load = await startLoad(world, { jobs, targets, eventsPerJob });
  try {
    await world.settle();
    const before = world.cpu();
    const { seconds, heads } = await load.go();
    const watched = await watching.collect(eventsPerJob, new Float64Array(0), PATIENCE_MILLISECONDS);
    const used = world.cpu() - before;
    await load.finish();
    const kept = await countRecord(world, heads, eventsPerJob);
    return {
      events,
      seconds,
      eventsPerSecond: events / seconds,
      cpuSecondsPer1000Events: (used / events) * 1_000,
      rssMb: residentMb(world.pid('ingest')) + residentMb(world.pid('gateway')),
      lost: kept.lost + watched.lost,
      duplicated: kept.duplicated + watched.duplicated,
    };
  } finally {
    watching.stop();
    load.stop();
  }
};

/** The case. */
export const replicasCase: BenchCase = {
  name: 'replicas',
  title: 'two ingest and two gateway processes: nothing lost or twice; beside one each',
  mode: 'separate',
  run: async (context) => {
    const { world, say } = context;
    const socket = (http: string): string =>
      `${http.replace(/^http/, 'ws').replace(/\/graphql$/, '')}/graphql`;
    const first = socket(world.endpoint.url);
    say('one of each');
    const reference = await measure(context, [world.pods], [first]);
    const started: Replica[] = [];
    try {
      for (const service of ['ingest', 'gateway'] as const) started.push(await startReplica(world, service));
      const [ingest, gateway] = started as [Replica, Replica];
      say('two of each');
      const own = await measure(
        context,
        [world.pods, `http://${ingest.pods}`],
        [first, socket(`http://${gateway.http}`)],
      );
      return [
        {
          case: 'replicas',
          what: 'two ingest and two gateways on one machine, each agent sends to both in turn, a watcher a job; beside one of each. MB: of the first ingest and gateway',
          ...own,
          reference,
          ratio: own.cpuSecondsPer1000Events! / reference.cpuSecondsPer1000Events!,
          bounds: [most('replicas: lost or twice', own.lost! + own.duplicated!, 0)],
        },
      ];
    } finally {
      await Promise.all(started.map((replica) => replica.stop()));
    }
  },
};
