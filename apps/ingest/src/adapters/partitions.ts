/** The partitions of chunks and index: what they hold, making them, emptying them, moving a job from one to another. */
import { fromPostgres, identifier, type Sql } from '@gantry/eventlog/sql';
import { PlatformError, isPlatformError } from '@gantry/contracts/errors';
import type { PartitionState, UsageGroup } from '../domain/retention.js';

/** Tables that are partitioned by `job_record.day`, and the column that says which job a row is of. */
const partitioned = { job_chunk: 'job_id', job_event_index: 'job_number' } as const;

/** A partition with its size on disk. */
export interface PartitionSize extends PartitionState {
  bytes: number;
}

/** A job as retention moves it. */
export interface MovableJob {
  jobId: string;
  number: string;
  day: string;
}

/** Over a schema's tables. Every method throws `unavailable` when Postgres is away. */
export interface Partitions {
  /** All of them, by key. One look at the catalogue, one at `record_usage`, one at the records that are not over. */
  list(): Promise<PartitionSize[]>;
  /** One of them, as `list` shows it; null when there is none. */
  find(key: string): Promise<PartitionSize | null>;
  /** Makes it where it is missing; nobody empties or drops it until the transaction of `sql` ends. */
  hold(sql: Sql, key: string): Promise<void>;
  /** Copies a job's rows to another partition and files the record there: within a transaction that has the record's lock. */
  move(sql: Sql, job: MovableJob, target: string): Promise<void>;
  /** Frees a partition's disk, in the transaction of `sql`. False: somebody uses it just now. Throws `conflict` while a record in it is not dropped. */
  empty(sql: Sql, key: string): Promise<boolean>;
  /** Removes the tables of an empty partition. False: not at this moment. Throws as `empty`. */
  drop(key: string): Promise<boolean>;
  /** Postgres's day, UTC. */
  today(sql?: Sql): Promise<string>;
}

/** Over the tables of a schema. */
export const createPartitions = (settings: { pool: Sql; schema: string }): Partitions => {
  const { pool } = settings;
  const schema = identifier(settings.schema);
  const query = async <Row extends object>(
    sql: Sql,
    text: string,
    params: unknown[] = [],
  ): Promise<Row[]> => {
    try {
      return (await sql.query<Row>(text, params)).rows;
    } catch (error) {
      throw fromPostgres(error);
    }
  };
  const list = async (key: string | null): Promise<PartitionSize[]> => {
    const sizes = await query<{ key: string; bytes: string }>(
      pool,
      `select to_date(right(child.relname, 8), 'YYYYMMDD')::text as key, sum(pg_total_relation_size(child.oid))::text as bytes
       from pg_inherits join pg_class as child on child.oid = inhrelid
       where inhparent in ('${schema}.job_chunk'::regclass, '${schema}.job_event_index'::regclass)
         and ($1::date is null or right(child.relname, 8) = to_char($1::date, 'YYYYMMDD'))
       group by 1 order by 1`,
      [key],
    );
    const usage = await query<
      Omit<UsageGroup, 'jobs' | 'storedBytes'> & { key: string; jobs: string; storedBytes: string }
    >(
      pool,
      `select day::text as key, organization_id as "organizationId", job_template_id as "jobTemplateId", ended_on::text as "endedOn",
         jobs::text as jobs, stored_bytes::text as "storedBytes"
       from ${schema}.record_usage where jobs > 0 and ($1::date is null or day = $1)`,
      [key],
    );
    const open = await query<{ key: string; jobs: number }>(
      pool,
      `select day::text as key, count(*)::int as jobs from ${schema}.job_record
       where closed_at is null and ($1::date is null or day = $1) group by day`,
      [key],
    );
    const openByKey = new Map(open.map((row) => [row.key, row.jobs]));
    const usageByKey = new Map<string, typeof usage>();
    for (const row of usage) usageByKey.set(row.key, [...(usageByKey.get(row.key) ?? []), row]);
    return sizes.map((partition) => ({
      key: partition.key,
      bytes: Number(partition.bytes),
      openJobs: openByKey.get(partition.key) ?? 0,
      groups: (usageByKey.get(partition.key) ?? []).map((row) => ({
        organizationId: row.organizationId,
        jobTemplateId: row.jobTemplateId,
        endedOn: row.endedOn,
        jobs: Number(row.jobs),
        storedBytes: Number(row.storedBytes),
      })),
    }));
  };

  return {
    list: () => list(null),
    find: async (key) => (await list(key))[0] ?? null,
    hold: async (sql, key) => void (await query(sql, `select ${schema}.hold_partition($1)`, [key])),
    move: async (sql, job, target) => {
      await query(sql, `select ${schema}.hold_partition($1)`, [target]);
      for (const [table, column] of Object.entries(partitioned)) {
        const columns = await query<{ names: string }>(
          sql,
          `select string_agg(quote_ident(attname), ', ' order by attnum) as names from pg_attribute
           where attrelid = '${schema}.${table}'::regclass and attnum > 0 and not attisdropped and attname <> 'day'`,
        );
        const { names } = columns[0]!;
        await query(
          sql,
          `insert into ${schema}.${table} (day, ${names}) select $1, ${names} from ${schema}.${table} where day = $2 and ${column} = $3`,
          [target, job.day, column === 'job_id' ? job.jobId : job.number],
        );
      }
      await query(sql, `update ${schema}.job_record set day = $2 where job_id = $1`, [job.jobId, target]);
    },
    empty: async (sql, key) => asked(query(sql, `select ${schema}.empty_partition($1) as done`, [key]), key),
    drop: async (key) => asked(query(pool, `select ${schema}.drop_partition($1) as done`, [key]), key),
    today: async (sql = pool) =>
      (await query<{ today: string }>(sql, `select (now() at time zone 'utc')::date::text as today`))[0]!
        .today,
  };
};

const asked = async (answer: Promise<{ done: boolean }[]>, key: string): Promise<boolean> => {
  try {
    return (await answer)[0]!.done;
  } catch (error) {
    if (isPlatformError(error) && error.details['sqlState'] === '23001')
      throw new PlatformError(
        'conflict',
        `Partition ${key} is in use again: it stays until the next sweep.`,
        { cause: error },
      );
    throw error;
  }
};
