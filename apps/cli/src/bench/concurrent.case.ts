/** `concurrent`: 500 agents at once over real HTTP, each at its own pace and with the agent's own rule of when to send. */
import type { BenchCase } from './case.js';
import { startLoad } from './load.process.js';
import { watchMemory } from './processes.js';
import { countRecord } from './record.js';
import { most } from './result.js';

const EVENTS_PER_SECOND_EACH = 20;

/** The case. */
export const concurrentCase: BenchCase = {
  name: 'concurrent',
  title: '500 agents at once over real HTTP, 20 events/s each',
  mode: 'separate',
  run: async ({ world, say, sized }) => {
    const jobs = await world.open(sized(500, 10));
    const eventsPerJob = EVENTS_PER_SECOND_EACH * sized(10, 2);
    const events = jobs.length * eventsPerJob;
    const load = await startLoad(world, { jobs, eventsPerJob, eventsPerSecond: EVENTS_PER_SECOND_EACH });
    try {
      await world.settle();
      const memory = watchMemory(world.pid('ingest'));
      const before = world.cpu();
      const { seconds, heads, latency, batches, cpuSeconds } = await load.go();
      const used = world.cpu() - before;
      const rssMb = memory.stop();
      await load.finish();
      say(`${batches} batches; the load's own CPU: ${cpuSeconds.toFixed(1)} s`);
      const counted = await countRecord(world, heads, eventsPerJob);
      return [
        {
          case: 'concurrent',
          what: `${jobs.length} agents, ${EVENTS_PER_SECOND_EACH} events/s each, a batch each 80 ms; latency: printed until committed and answered`,
          events,
          seconds,
          eventsPerSecond: events / seconds,
          cpuSecondsPer1000Events: (used / events) * 1_000,
          ...latency,
          rssMb,
          ...counted,
          bounds: [most('concurrent: lost or twice', counted.lost + counted.duplicated, 0)],
        },
      ];
    } finally {
      load.stop();
    }
  },
};
