/** Numbers of hosts and tasks: as counted while the job ran, or as they were after an event, from the index. */
import type { OutputOf } from '@gantry/contracts/command';
import type { ListHostSummaries, ListTaskSummaries } from '@gantry/contracts/record';
import { fromPostgres, identifier } from '@gantry/eventlog/sql';
import type pg from 'pg';
import type { JobRecord } from './adapters/records.js';
import { counts, kindNumber } from './domain/facts.js';
import { taskCounts } from './domain/task-counts.js';
import type { QueryDependencies } from './record.queries.js';

type HostPage = OutputOf<typeof ListHostSummaries>;
type TaskPage = OutputOf<typeof ListTaskSummaries>;

const query = async <Row extends pg.QueryResultRow>(
  pool: pg.Pool,
  text: string,
  params: unknown[],
): Promise<Row[]> => {
  try {
    return (await pool.query<Row>(text, params)).rows;
  } catch (error) {
    throw fromPostgres(error);
  }
};

const pageOf = <T>(rows: T[], first: number, totalCount: number) => ({
  items: rows.slice(0, first),
  hasNextPage: rows.length > first,
  totalCount,
});

/** Hosts by name, as counted; set right by Ansible's own numbers at the end. `failedOnly`: those that failed or were out of reach. */
export const listHosts = async (
  { pool, schema }: QueryDependencies,
  record: JobRecord,
  first: number,
  after: string,
  failedOnly: boolean,
): Promise<HostPage> => {
  const tables = identifier(schema);
  const only = failedOnly ? 'and summary.failures + summary.dark > 0' : '';
  const rows = await query<HostPage['items'][number]>(
    pool,
    `select host.name as host, ${counts.map((name) => `summary.${name}`).join(', ')}
     from ${tables}.job_host as host join ${tables}.host_summary as summary using (job_number, host_id)
     where host.job_number = $1 and host.name > $2 ${only} order by host.name limit $3`,
    [record.number, after, first + 1],
  );
  const [total] = await query<{ count: number }>(
    pool,
    `select count(*)::int as count from ${tables}.host_summary as summary where job_number = $1 ${only}`,
    [record.number],
  );
  return pageOf(rows, first, total!.count);
};

/** Tasks in the order of the job, as counted. */
export const listTasks = async (
  { pool, schema }: QueryDependencies,
  record: JobRecord,
  first: number,
  after: number,
): Promise<TaskPage> => {
  const tables = identifier(schema);
  const rows = await query<TaskPage['items'][number]>(
    pool,
    `select summary.first_counter as "firstCounter", task.uuid, task.name as task, task.play, task.role,
       to_json(summary.started_at at time zone 'utc') #>> '{}' || 'Z' as "startedAt",
       to_json(summary.ended_at at time zone 'utc') #>> '{}' || 'Z' as "endedAt",
       ${taskCounts.map((name) => `summary.${name}`).join(', ')}, summary.total_ms::float8 as "totalMilliseconds",
       summary.longest_ms as "longestMilliseconds", host.name as "slowestHost"
     from ${tables}.job_task_summary as summary
       join ${tables}.job_task as task using (job_number, task_id)
       left join ${tables}.job_host as host on host.job_number = summary.job_number and host.host_id = summary.slowest_host_id
     where summary.job_number = $1 and summary.first_counter > $2 order by summary.first_counter limit $3`,
    [record.number, after, first + 1],
  );
  const [total] = await query<{ count: number }>(
    pool,
    `select count(*)::int as count from ${tables}.job_task_summary where job_number = $1`,
    [record.number],
  );
  return pageOf(rows, first, total!.count);
};

/** Results in the index by what they count as; numbers of kinds, which are ours. */
const [ok, failed, unreachable, skipped] = [
  'runner_on_ok',
  'runner_on_failed',
  'runner_on_unreachable',
  'runner_on_skipped',
].map((name) => kindNumber(name)!);
const results = `kind in (${ok}, ${failed}, ${unreachable}, ${skipped})`;
const okOrIgnored = `kind = ${ok} or (kind = ${failed} and not failed)`;
const countedAs = {
  ok: okOrIgnored,
  changed: `(${okOrIgnored}) and changed`,
  failures: `kind = ${failed} and failed`,
  dark: `kind = ${unreachable}`,
  skipped: `kind = ${skipped}`,
  // Only Ansible's own numbers at the end know of it.
  rescued: 'false',
  ignored: `kind = ${failed} and not failed`,
} satisfies Record<(typeof counts)[number], string>;
const count = (condition: string): string => `count(*) filter (where ${condition})::int`;

/**
 * The host of the longest result, the first host if several took as long. A maximum of numbers: to sort the results of a job of a
 * million events would take seconds.
 */
const slowestHost = `(2147483647 - (max((coalesce(duration_ms, 0)::bigint << 31) | (2147483647 - host_id)) & 2147483647))::int`;

/** The index up to event $3 (of job $1 on day $2), counted by one of its ids. */
const countedBy = (tables: string, id: 'host_id' | 'task_id', columns: string): string =>
  `counted as (
     select ${id}, ${columns} from ${tables}.job_event_index
     where job_number = $1 and day = $2 and counter <= $3 and ${id} is not null and ${results} group by ${id}
   )`;

/** A page of what was after event `asOf`: a query of job $1, day $2, `asOf` $3, after $4, limit $5, whose rows each say the `total`. */
const pageAsOf = async <T extends object>(
  pool: pg.Pool,
  text: string,
  record: JobRecord,
  asOf: number,
  first: number,
  after: string | number,
) => {
  const rows = await query<T & { total: number }>(pool, text, [
    record.number,
    record.day,
    asOf,
    after,
    first + 1,
  ]);
  const items = rows.map(({ total: _, ...row }) => row as unknown as T);
  return pageOf(items, first, rows[0]?.total ?? 0);
};

/** The hosts as they were after event `asOf`, by the results that the index has up to there. */
export const hostsAsOf = (
  { pool, schema }: QueryDependencies,
  record: JobRecord,
  asOf: number,
  first: number,
  after: string,
): Promise<HostPage> => {
  const tables = identifier(schema);
  const columns = counts.map((name) => `${count(countedAs[name])} as ${name}`).join(', ');
  return pageAsOf(
    pool,
    `with ${countedBy(tables, 'host_id', columns)}
     select host.name as host, ${counts.map((name) => `counted.${name}`).join(', ')}, (select count(*)::int from counted) as total
     from counted join ${tables}.job_host as host on host.job_number = $1 and host.host_id = counted.host_id
     where host.name > $4 order by host.name limit $5`,
    record,
    asOf,
    first,
    after,
  );
};

/** What a task's results count as: a host's `failures` and `dark` by other names. */
const taskCountedAs = {
  ok: countedAs.ok,
  changed: countedAs.changed,
  failed: countedAs.failures,
  unreachable: countedAs.dark,
  skipped: countedAs.skipped,
  ignored: countedAs.ignored,
} satisfies Record<(typeof taskCounts)[number], string>;

/** The tasks that had begun by event `asOf`, with their results up to there. */
export const tasksAsOf = (
  { pool, schema }: QueryDependencies,
  record: JobRecord,
  asOf: number,
  first: number,
  after: number,
): Promise<TaskPage> => {
  const tables = identifier(schema);
  const columns = `${taskCounts.map((name) => `${count(taskCountedAs[name])} as ${name}`).join(', ')},
     sum(duration_ms)::float8 as total_ms, max(duration_ms) as longest_ms, ${slowestHost} as slowest_host_id`;
  return pageAsOf(
    pool,
    `with begun as (
       select * from ${tables}.job_task_summary where job_number = $1 and first_counter <= $3
     ), ${countedBy(tables, 'task_id', columns)}
     select begun.first_counter as "firstCounter", task.uuid, task.name as task, task.play, task.role,
       to_json(begun.started_at at time zone 'utc') #>> '{}' || 'Z' as "startedAt", null as "endedAt",
       ${taskCounts.map((name) => `coalesce(counted.${name}, 0) as ${name}`).join(', ')},
       coalesce(counted.total_ms, 0) as "totalMilliseconds", coalesce(counted.longest_ms, 0) as "longestMilliseconds",
       host.name as "slowestHost", (select count(*)::int from begun) as total
     from begun join ${tables}.job_task as task using (job_number, task_id) left join counted using (task_id)
       left join ${tables}.job_host as host on host.job_number = $1 and host.host_id = counted.slowest_host_id
     where begun.first_counter > $4 order by begun.first_counter limit $5`,
    record,
    asOf,
    first,
    after,
  );
};
