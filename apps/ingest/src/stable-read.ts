/**
 * Reading a record that retention may be moving or dropping at the same time. Its events lie in one partition, which the
 * record names; a read takes several statements. So the record is looked at again afterwards: dropped is said, moved is read
 * anew. A record that is not over is never touched by retention, and not looked at twice.
 */
import type { Sql } from '@gantry/eventlog/sql';
import { requireKept, type JobRecord, type Records } from './adapters/records.js';

/** Reads events of a record. Throws `refused` with reason `record_dropped`, and what `read` throws. */
export type StableRead = <T>(record: JobRecord, read: (record: JobRecord) => Promise<T>) => Promise<T>;

/** Moves that one read may meet: each takes the copying of a job, far longer than a read. */
const MOST_MOVES = 3;

/** Over the records of a pool. */
export const createStableRead =
  (pool: Sql, records: Records): StableRead =>
  async (first, read) => {
    let record = first;
    for (let moves = 0; ; moves++) {
      requireKept(record);
      const { day, jobId } = record;
      const outcome = await read(record).then(
        (value) => ({ value }),
        (error: unknown) => ({ error }),
      );
      const now = record.closed ? await records.find(pool, jobId) : null;
      if (now) requireKept(now);
      if (!now || now.day === day || moves >= MOST_MOVES) {
        if ('error' in outcome) throw outcome.error;
        return outcome.value;
      }
      record = now;
    }
  };
