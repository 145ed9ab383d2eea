/** `storage`: bytes on disk for each event, indexes included; beside one jsonb row each. */
import type { BenchCase } from './case.js';
import { copyRows } from './copy.process.js';
import { BATCH_EVENTS } from './load.process.js';
import { measureFlood } from './ingest.case.js';
import { most, type Report } from './result.js';

/** What 50 ms come to at the 600 events/s that ansible-playbook prints at most on one core. */
const TRICKLE_EVENTS = 30;

/** The case. */
export const storageCase: BenchCase = {
  name: 'storage',
  title: 'bytes on disk per event, indexes included; beside one row each',
  mode: 'separate',
  run: async (context) => {
    const [jobs, eventsPerJob] = [context.sized(5, 2), context.sized(20_000, 600)];
    const measure = async (batchEvents: number) => {
      context.say(`${jobs * eventsPerJob} events in batches of ${batchEvents}`);
      return measureFlood(context, { jobs, eventsPerJob, batchEvents });
    };
    const [full, trickle] = [await measure(BATCH_EVENTS), await measure(TRICKLE_EVENTS)];
    context.say('the same, one row each');
    const rows = await copyRows(context.world, { jobIds: full.jobIds, eventsPerJob, hosts: 10 });
    const report = (name: string, batchEvents: number, { figures }: typeof full): Report => ({
      case: name,
      what: `all tables and indexes of ingest, batches of ${batchEvents}; beside one jsonb row each with its primary key`,
      events: figures.events,
      bytesPerEvent: figures.bytesPerEvent,
      lost: figures.lost,
      duplicated: figures.duplicated,
      reference: { events: rows.events, bytesPerEvent: rows.bytesPerEvent },
      ratio: figures.bytesPerEvent / rows.bytesPerEvent,
      bounds: [most(`${name}: bytes per event`, figures.bytesPerEvent, 300)],
    });
    return [report('storage', BATCH_EVENTS, full), report('storage-trickle', TRICKLE_EVENTS, trickle)];
  },
};
