/** How far each job is published, and what comes next: the publisher's side of Postgres (migration 000006). */
import type { JobEventBatch, JobEventStream } from '@gantry/bus/job-events';
import { fromPostgres, identifier } from '@gantry/eventlog/sql';
import type pg from 'pg';

/** Where a job stands: events up to `published` are on the stream. */
export interface JobEventCursor {
  jobId: string;
  published: number;
}

/** A job that has more. */
export interface JobBehind extends JobEventCursor {
  lastCounter: number;
}

/** The publisher's state. Throws `unavailable` when Postgres is away. */
export interface JobEventCursors {
  /**
   * Begins with this stream. One that is not the one that was published to before, or has lost what it had, gets all
   * records that were open within the last `keptMilliseconds`.
   */
  begin(stream: JobEventStream, keptMilliseconds: number): Promise<void>;
  /** Some jobs that have more than is published; of `jobIds` alone where given. */
  behind(limit: number, jobIds?: readonly string[]): Promise<JobBehind[]>;
  /** The next batches of these jobs, of each job in order, at most `limit` each. */
  next(cursors: readonly JobEventCursor[], limit: number): Promise<JobEventBatch[]>;
  save(cursors: readonly JobEventCursor[], lastSequence: number): Promise<void>;
  /** The database's clock, for `sweptTo`. */
  now(): Promise<string>;
  /** Nothing that was closed a minute before `time` is behind: it is not looked at again. */
  sweptTo(time: string): Promise<void>;
}

/** Larger payloads are fetched one by one. */
const LARGE_BYTES = 256 * 1024;

interface Row extends Omit<JobEventBatch, 'payload'> {
  day: string;
  payload: Buffer | null;
}

/** Over a schema's tables. */
export const createJobEventCursors = (pool: pg.Pool, schemaName: string): JobEventCursors => {
  const schema = identifier(schemaName);
  const query = async <R extends pg.QueryResultRow>(text: string, params: unknown[] = []): Promise<R[]> => {
    try {
      return (await pool.query<R>(text, params)).rows;
    } catch (error) {
      throw fromPostgres(error);
    }
  };
  const behind = (where: string): string =>
    `select record.job_id as "jobId", coalesce(cursor.published, 0) as published, record.last_counter as "lastCounter"
     from ${schema}.job_record as record left join ${schema}.job_event_cursor as cursor using (job_id)
     where ${where} and record.last_counter > coalesce(cursor.published, 0) and record.dropped_at is null`;
  return {
    begin: async ({ birth, lastSequence }, keptMilliseconds) => {
      // One statement, and no reader but the one that holds the publisher's lock.
      await query(
        `with known as (select 1 from ${schema}.job_event_stream where birth = $1 and last_sequence <= $2),
           gone as (delete from ${schema}.job_event_stream where not exists (select from known)),
           forgotten as (delete from ${schema}.job_event_cursor where not exists (select from known))
         select 1 from known`,
        [birth, lastSequence],
      );
      await query(
        `insert into ${schema}.job_event_stream (birth, last_sequence, swept_to)
         values ($1, $2, now() - make_interval(secs => $3)) on conflict (birth) do nothing`,
        [birth, lastSequence, keptMilliseconds / 1_000],
      );
    },
    behind: (limit, jobIds) => {
      const which = jobIds ? ' and record.job_id = any($2::uuid[])' : '';
      return query<JobBehind>(
        `(${behind(`record.closed_at is null${which}`)} limit $1) union all
         (${behind(`record.closed_at > (select swept_to from ${schema}.job_event_stream)${which}`)} limit $1)`,
        jobIds ? [limit, jobIds] : [limit],
      );
    },
    next: async (cursors, limit) => {
      const rows = await query<Row>(
        `select record.job_id as "jobId", record.day::text as day, record.organization_id as "organizationId", chunk.*
         from unnest($1::uuid[], $2::int[]) as job (job_id, published) join ${schema}.job_record as record using (job_id)
         cross join lateral (
           select first_counter as "firstCounter", last_counter as "lastCounter", first_line as "firstLine", last_line as "lastLine",
             raw_length as "rawLength", encode(previous_hash, 'hex') as "previousHash", encode(hash, 'hex') as hash,
             case when octet_length(payload) <= ${LARGE_BYTES} then payload end as payload
           from ${schema}.job_chunk where day = record.day and job_id = record.job_id and first_counter > job.published
           order by first_counter limit $3) as chunk
         where record.dropped_at is null`,
        [cursors.map(({ jobId }) => jobId), cursors.map(({ published }) => published), limit],
      );
      const batches: JobEventBatch[] = [];
      for (const { day, payload, ...batch } of rows) {
        const bytes =
          payload ??
          (
            await query<{ payload: Buffer }>(
              `select payload from ${schema}.job_chunk where day = $1 and job_id = $2 and first_counter = $3`,
              [day, batch.jobId, batch.firstCounter],
            )
          )[0]?.payload;
        if (bytes) batches.push({ ...batch, payload: bytes });
      }
      return batches;
    },
    save: async (cursors, lastSequence) => {
      await query(
        `with stream as (update ${schema}.job_event_stream set last_sequence = greatest(last_sequence, $3))
         insert into ${schema}.job_event_cursor as cursor (job_id, published)
         select * from unnest($1::uuid[], $2::int[])
         on conflict (job_id) do update set published = greatest(cursor.published, excluded.published)`,
        [cursors.map(({ jobId }) => jobId), cursors.map(({ published }) => published), lastSequence],
      );
    },
    now: async () => (await query<{ now: string }>('select now()::text as now'))[0]!.now,
    sweptTo: async (time) => {
      await query(
        `update ${schema}.job_event_stream set swept_to = greatest(swept_to, $1::timestamptz - interval '1 minute')`,
        [time],
      );
      await query(
        `delete from ${schema}.job_event_cursor as cursor using ${schema}.job_record as record
         where record.job_id = cursor.job_id and record.closed_at <= (select swept_to from ${schema}.job_event_stream)`,
      );
    },
  };
};
