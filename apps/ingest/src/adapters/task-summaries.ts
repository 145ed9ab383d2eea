/** Writes what batches add to the numbers of tasks: one statement for all jobs of a group. */
import type pg from 'pg';
import { taskCounts, type TaskCounts } from '../domain/task-counts.js';

/** What one batch adds to one task. */
export interface TaskSummaryRow {
  jobNumber: string;
  taskId: number;
  slowestHostId: number | null;
  counts: TaskCounts;
}

/** Adds them. In the transaction that writes their events. */
export const addTaskSummaries = async (
  client: pg.PoolClient,
  schema: string,
  rows: readonly TaskSummaryRow[],
): Promise<void> => {
  if (rows.length === 0) return;
  const column = <T>(read: (row: TaskSummaryRow) => T): T[] => rows.map(read);
  const added = taskCounts.map((name) => `${name} = old.${name} + excluded.${name}`);
  await client.query({
    name: 'gantry-add-task-summaries',
    text: `insert into ${schema}.job_task_summary as old
       (job_number, task_id, slowest_host_id, first_counter, started_at, ended_at, total_ms, longest_ms, ${taskCounts.join(', ')})
     select * from unnest($1::bigint[], $2::int[], $3::int[], $4::int[], $5::timestamptz[], $6::timestamptz[], $7::bigint[], $8::int[],
       ${taskCounts.map((_, index) => `$${index + 9}::int[]`).join(', ')})
     on conflict (job_number, task_id) do update set ${added.join(', ')},
       started_at = coalesce(old.started_at, excluded.started_at), ended_at = coalesce(excluded.ended_at, old.ended_at),
       total_ms = old.total_ms + excluded.total_ms, longest_ms = greatest(old.longest_ms, excluded.longest_ms),
       slowest_host_id = case when old.slowest_host_id is null or excluded.longest_ms > old.longest_ms
         then coalesce(excluded.slowest_host_id, old.slowest_host_id) else old.slowest_host_id end`,
    values: [
      column((row) => row.jobNumber),
      column((row) => row.taskId),
      column((row) => row.slowestHostId),
      column((row) => row.counts.firstCounter),
      column((row) => timeOf(row.counts.startedAt)),
      column((row) => timeOf(row.counts.endedAt)),
      column((row) => row.counts.totalMilliseconds),
      column((row) => row.counts.longestMilliseconds),
      ...taskCounts.map((name) => column((row) => row.counts[name])),
    ],
  });
};

/** ansible-runner's time (without a zone it is UTC), or null for what is none: the pod may say anything. */
const timeOf = (text: string | null): string | null => {
  const found = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?)(Z|\+00:00)?$/.exec(text ?? '');
  const time = found ? Date.parse(`${found[1]}Z`) : Number.NaN;
  return Number.isNaN(time) ? null : new Date(time).toISOString();
};
