/**
 * The sweep: what retention does with one partition after the other (docs/adr/0016). Each step is a transaction of its own,
 * and each may be repeated: a sweep that is killed anywhere is taken up by the next one.
 *
 *   planned    domain/retention.ts says drop
 *   moved      jobs that are kept for longer lie in other partitions              move, one job a transaction
 *   archived   the others lie in the archive, read back; retention.partition_archived
 *   marked     their records say dropped: nobody reads their events any more      1,000 records a transaction
 *   emptied    the disk is free; retention.partition_dropped                      one transaction, waits at most 100 ms for readers
 *   removed    the tables are gone                                                at a moment when nobody has a lock on them
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { makeEvent, type EventSpec, type Meta } from '@gantry/contracts/envelope';
import { isPlatformError } from '@gantry/contracts/errors';
import { RetentionPartitionArchived, RetentionPartitionDropped } from '@gantry/contracts/retention';
import type { EventLog } from '@gantry/eventlog/log';
import { fromPostgres, identifier, withTransaction } from '@gantry/eventlog/sql';
import { newId } from '@gantry/service/context';
import type pg from 'pg';
import type { z } from 'zod';
import type { PartitionSize, Partitions } from './adapters/partitions.js';
import type { Records } from './adapters/records.js';
import {
  judgedAsOf,
  mayGoOn,
  partitionToMoveTo,
  planPartition,
  sayKeeping,
  type Rules,
} from './domain/retention.js';
import type { ArchiveJob } from './retention.archive.js';
import type { RetentionRules } from './retention.rules.js';

/** What the sweep stands on. */
export interface SweepDependencies {
  pool: pg.Pool;
  log: EventLog;
  records: Records;
  partitions: Partitions;
  rules: Pick<RetentionRules, 'load'>;
  /** Null: dropped without an archive. `location` is the archive's own. */
  archive: { location: string; job: ArchiveJob } | null;
  logger: { info(data: object, message: string): void; warn(data: object, message: string): void };
  /** Days that dictionaries and host summaries outlive the events; 0 for ever. */
  summaryDays: number;
  signal: AbortSignal;
  /** Tries for a lock, and the pause between them. */
  tries?: { count: number; pauseMilliseconds: number };
}

/** What became of the partitions. */
export interface SweepResult {
  dropped: string[];
  removed: string[];
  /** Partitions that were to go and could not, and why: the next sweep tries again. */
  postponed: { partition: string; reason: string }[];
}

/** Records of one step. */
const PAGE_RECORDS = 100;

interface Candidate {
  jobId: string;
  number: string;
  organizationId: string;
  jobTemplateId: string | null;
  endedOn: string;
  storedBytes: number;
  archived: boolean;
}

/** One sweep over all partitions, oldest first, one at a time. `today` is Postgres's day unless a test says otherwise. */
export const sweep = async (deps: SweepDependencies, meta: Meta, today?: string): Promise<SweepResult> => {
  const result: SweepResult = { dropped: [], removed: [], postponed: [] };
  const day = today ?? (await deps.partitions.today());
  for (const partition of await deps.partitions.list()) {
    if (deps.signal.aborted) break;
    const { action } = planPartition(partition, await deps.rules.load(), day);
    if (action === 'wait') continue;
    try {
      if (action === 'drop') {
        await dropPartition(deps, partition, day, meta);
        result.dropped.push(partition.key);
      }
      if (await tried(deps, () => deps.partitions.drop(partition.key))) result.removed.push(partition.key);
    } catch (error) {
      // One partition that cannot go does not keep the others, unless nothing can.
      if (isPlatformError(error) && error.code === 'unavailable' && error.details['sqlState'] !== undefined)
        throw error;
      const reason = error instanceof Error ? error.message : String(error);
      deps.logger.warn({ partition: partition.key, err: error }, 'a partition cannot be dropped now');
      result.postponed.push({ partition: partition.key, reason });
    }
  }
  if (deps.summaryDays > 0) await prune(deps);
  return result;
};

const dropPartition = async (
  deps: SweepDependencies,
  partition: PartitionSize,
  today: string,
  meta: Meta,
): Promise<void> => {
  const { key } = partition;
  const moved = await prepare(deps, key, today);
  const totals = await totalsOf(deps, key);
  if (deps.archive) await noteArchived(deps, key, totals, meta);
  await mark(deps, key, today);
  const { log, partitions, pool } = deps;
  const done = await tried(deps, () =>
    withTransaction(pool, async (client) => {
      if (!(await partitions.empty(client, key))) throw new Busy();
      await appendTo(
        log,
        client,
        key,
        RetentionPartitionDropped,
        { partition: key, ...totals, moved, freedBytes: partition.bytes },
        meta,
      );
      return true;
    }).catch((error: unknown) => {
      if (error instanceof Busy) return false;
      throw error;
    }),
  );
  log.wake();
  if (!done) throw new Error('somebody has been reading it all the time');
  deps.logger.info(
    { partition: key, ...totals, moved, freedBytes: partition.bytes },
    'a partition was dropped',
  );
};

class Busy extends Error {}

/** True as soon as `attempt` says so; false after the last try. */
const tried = async (
  { tries, signal }: SweepDependencies,
  attempt: () => Promise<boolean>,
): Promise<boolean> => {
  const { count, pauseMilliseconds } = tries ?? { count: 20, pauseMilliseconds: 500 };
  for (let n = 0; n < count && !signal.aborted; n++) {
    if (await attempt()) return true;
    await sleep(pauseMilliseconds, undefined, { signal }).catch(() => undefined);
  }
  return false;
};

/** Moves what is kept, archives what goes. Answers how many were moved. */
const prepare = async (deps: SweepDependencies, key: string, today: string): Promise<number> => {
  let moved = 0;
  for (let after: string | null = null; ;) {
    const rules = await deps.rules.load();
    const page = await candidates(deps, key, after);
    for (const job of page) {
      if (deps.signal.aborted) throw new Error('ingest is shutting down');
      const { keepDays } = rules(job.organizationId, job.jobTemplateId);
      if (isKept(job, rules, key, today)) {
        await moveJob(deps, job, key, partitionToMoveTo(job.endedOn, keepDays, key, today));
        moved += 1;
      } else if (deps.archive && !job.archived) await deps.archive.job(job.jobId);
    }
    if (page.length < PAGE_RECORDS) return moved;
    after = page.at(-1)!.jobId;
  }
};

const isKept = (job: Candidate, rules: Rules, key: string, today: string): boolean => {
  const goesOn = mayGoOn(job.endedOn, rules(job.organizationId, job.jobTemplateId).keepDays);
  return goesOn === null || goesOn > judgedAsOf(key, today);
};

const moveJob = async (deps: SweepDependencies, job: Candidate, key: string, target: string): Promise<void> =>
  withTransaction(deps.pool, async (client) => {
    const record = await deps.records.lock(client, job.jobId);
    if (!record || record.day !== key || !record.closed || record.droppedAt) return;
    await deps.partitions.move(client, { jobId: job.jobId, number: record.number, day: key }, target);
  });

/** Says of every job that may go, by the rules as they are this moment, that it went. */
const mark = async (deps: SweepDependencies, key: string, today: string): Promise<void> => {
  const table = `${identifier(deps.log.schema)}.job_record`;
  for (let after: string | null = null; ;) {
    const page = await candidates(deps, key, after);
    const rules = await deps.rules.load();
    const going = page.filter((job) => !isKept(job, rules, key, today) && (!deps.archive || job.archived));
    await query(
      deps.pool,
      `update ${table} as record set dropped_at = now(), dropped_by = going.why from unnest($1::uuid[], $2::text[]) as going (job_id, why)
       where record.job_id = going.job_id and day = $3 and closed_at is not null and dropped_at is null`,
      [
        going.map(({ jobId }) => jobId),
        going.map(({ organizationId, jobTemplateId }) => sayKeeping(rules(organizationId, jobTemplateId))),
        key,
      ],
    );
    if (page.length < PAGE_RECORDS) return;
    after = page.at(-1)!.jobId;
  }
};

const candidates = (
  { pool, log }: SweepDependencies,
  key: string,
  after: string | null,
): Promise<Candidate[]> =>
  query<Candidate>(
    pool,
    `select job_id as "jobId", number::text as number, organization_id as "organizationId", job_template_id as "jobTemplateId",
       (closed_at at time zone 'utc')::date::text as "endedOn", stored_bytes::float8 as "storedBytes", archive is not null as archived
     from ${identifier(log.schema)}.job_record
     where day = $1 and closed_at is not null and dropped_at is null and ($2::uuid is null or job_id > $2) order by job_id limit $3`,
    [key, after, PAGE_RECORDS],
  );

interface Totals {
  jobs: number;
  storedBytes: number;
}

/** Of what lies in the partition and is not moved: dropped records of an earlier try count as well. */
const totalsOf = async ({ pool, log }: SweepDependencies, key: string): Promise<Totals> => {
  const [totals] = await query<Totals>(
    pool,
    `select count(*)::int as jobs, coalesce(sum(stored_bytes), 0)::float8 as "storedBytes" from ${identifier(log.schema)}.job_record where day = $1`,
    [key],
  );
  return totals!;
};

const noteArchived = async (
  { log, archive, pool }: SweepDependencies,
  key: string,
  totals: Totals,
  meta: Meta,
): Promise<void> => {
  const last = (await log.readStream(`retention-${key}`)).at(-1);
  if (last?.type === RetentionPartitionArchived.type) return;
  await withTransaction(pool, (client) =>
    appendTo(
      log,
      client,
      key,
      RetentionPartitionArchived,
      { partition: key, ...totals, archive: archive!.location },
      meta,
    ),
  );
  log.wake();
};

const appendTo = async <S extends EventSpec>(
  log: EventLog,
  client: pg.PoolClient,
  key: string,
  spec: S,
  data: z.input<S['data']>,
  meta: Meta,
): Promise<void> => {
  const stream = `retention-${key}`;
  const version = (await log.readStream(stream)).at(-1)?.streamVersion ?? 0;
  await log.appendIn(client, stream, version, [makeEvent(spec, newId(), data)], meta);
};

/** Takes the dictionaries and numbers of jobs whose events went long ago. Small rows: a few a host and task. */
const prune = async ({ pool, log, summaryDays, signal, logger }: SweepDependencies): Promise<void> => {
  const schema = identifier(log.schema);
  let jobs = 0;
  while (!signal.aborted) {
    const pruned = await withTransaction(pool, async (client) => {
      const { rows } = await client.query<{ number: string; jobId: string }>(
        `select number::text as number, job_id as "jobId" from ${schema}.job_record
         where dropped_at is not null and pruned_at is null and dropped_at < now() - make_interval(days => $1)
         order by dropped_at limit $2 for update skip locked`,
        [summaryDays, PAGE_RECORDS],
      );
      for (const table of ['host_summary', 'job_task_summary', 'job_host', 'job_task'])
        await client.query(`delete from ${schema}.${table} where job_number = any($1::bigint[])`, [
          rows.map(({ number }) => number),
        ]);
      await client.query(`update ${schema}.job_record set pruned_at = now() where job_id = any($1::uuid[])`, [
        rows.map(({ jobId }) => jobId),
      ]);
      return rows.length;
    });
    jobs += pruned;
    if (pruned < PAGE_RECORDS) break;
  }
  if (jobs > 0) logger.info({ jobs }, 'host summaries of dropped jobs were removed');
};

const query = async <Row extends object>(pool: pg.Pool, text: string, params: unknown[]): Promise<Row[]> => {
  try {
    return (await pool.query<Row & pg.QueryResultRow>(text, params)).rows;
  } catch (error) {
    throw fromPostgres(error);
  }
};
