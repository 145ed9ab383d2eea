/** Numbers of a task: its results over all hosts, and how long they took. */
import type { Counts, Facts } from './facts.js';

/** Columns of job_task_summary that add up. `ok` includes what changed and what failed but was ignored, as in Ansible's recap. */
export const taskCounts = ['ok', 'changed', 'failed', 'unreachable', 'skipped', 'ignored'] as const;

/** What a batch adds to a task. */
export interface TaskCounts extends Record<(typeof taskCounts)[number], number> {
  firstCounter: number;
  /** Of its first and last event, by the pod's clock: as they say, unchecked. */
  startedAt: string | null;
  endedAt: string | null;
  totalMilliseconds: number;
  longestMilliseconds: number;
  slowestHost: string | null;
}

/** Adds an event with a task to the numbers of its task. `counted`: what it adds to its host, null for an event that is no result. */
export const addToTask = (
  tasks: Map<string, TaskCounts>,
  counter: number,
  facts: Facts,
  counted: Partial<Counts> | null,
): void => {
  let sum = tasks.get(facts.taskUuid!);
  if (!sum) {
    const { created: startedAt } = facts;
    sum = { firstCounter: counter, startedAt, endedAt: null, ...nothing };
    tasks.set(facts.taskUuid!, sum);
  }
  sum.endedAt = facts.created ?? sum.endedAt;
  if (!counted) return;
  sum.ok += counted.ok ?? 0;
  sum.changed += counted.changed ?? 0;
  sum.failed += counted.failures ?? 0;
  sum.unreachable += counted.dark ?? 0;
  sum.skipped += counted.skipped ?? 0;
  sum.ignored += counted.ignored ?? 0;
  const milliseconds = facts.durationMilliseconds ?? 0;
  sum.totalMilliseconds += milliseconds;
  if (sum.slowestHost === null || milliseconds > sum.longestMilliseconds) {
    sum.longestMilliseconds = milliseconds;
    sum.slowestHost = facts.host;
  }
};

const nothing = {
  ok: 0,
  changed: 0,
  failed: 0,
  unreachable: 0,
  skipped: 0,
  ignored: 0,
  totalMilliseconds: 0,
  longestMilliseconds: 0,
  slowestHost: null,
};
