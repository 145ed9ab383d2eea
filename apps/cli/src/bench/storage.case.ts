/** `storage`: bytes on disk for each event, indexes included; beside one jsonb row each. */
import type { BenchCase, CaseContext } from './case.js';
import { copyRows } from './copy.process.js';
import { BATCH_EVENTS, measureFlood } from './ingest.case.js';
import { most, type Report } from './result.js';

/** What 50 ms come to at the 600 events/s that ansible-playbook prints at most on one core. */
const TRICKLE_EVENTS = 30;

const measure = async (context: CaseContext, name: string, batchEvents: number): Promise<Report> => {
  const [jobs, eventsPerJob] = [context.sized(5, 2), context.sized(20_000, 600)];
  context.say(`${jobs * eventsPerJob} events in batches of ${batchEvents}`);
  const { figures, jobIds } = await measureFlood(context, { jobs, eventsPerJob, batchEvents });
  context.say('one row each');
  const reference = await copyRows(context.world, { jobIds, eventsPerJob, hosts: 10 });
  const { events, bytesPerEvent, lost, duplicated } = figures;
  return {
    case: name,
    what: `all tables and indexes of ingest, batches of ${batchEvents}; beside one jsonb row each with its primary key`,
    events,
    bytesPerEvent,
    lost,
    duplicated,
    reference: { events, bytesPerEvent: reference.bytesPerEvent },
    ratio: bytesPerEvent / reference.bytesPerEvent,
    bounds: [most(`${name}: bytes per event`, bytesPerEvent, 300)],
  };
};

/** The case. */
export const storageCase: BenchCase = {
  name: 'storage',
  title: 'bytes on disk per event, indexes included; beside one row each',
  mode: 'separate',
  run: async (context) => [
    await measure(context, 'storage', BATCH_EVENTS),
    await measure(context, 'storage-trickle', TRICKLE_EVENTS),
  ],
};
