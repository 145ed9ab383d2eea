/** Where the bars of tasks stand in time. */
import type { TaskSummary } from './job.queries.js';

/** From when to when, in milliseconds. */
export interface Extent {
  from: number;
  to: number;
}

/** From when to when the tasks of this page ran, in milliseconds. */
export const extentOf = (tasks: readonly TaskSummary[]): Extent => {
  const times = tasks.flatMap(({ startedAt, endedAt }) =>
    [startedAt, endedAt].flatMap((at) => (at ? [Date.parse(at)] : [])),
  );
  return { from: Math.min(...times), to: Math.max(...times) };
};

/** Where a task's bar stands, in percent of the extent; null if its events do not say when. */
export const barOf = (
  { startedAt, endedAt }: TaskSummary,
  { from, to }: Extent,
): { left: number; width: number } | null => {
  if (!startedAt) return null;
  const begin = Date.parse(startedAt);
  const end = endedAt ? Date.parse(endedAt) : to;
  const whole = Math.max(1, to - from);
  return { left: ((begin - from) / whole) * 100, width: (Math.max(0, end - begin) / whole) * 100 };
};
