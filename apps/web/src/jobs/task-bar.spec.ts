import { describe, expect, it } from 'vitest';
import type { TaskSummary } from './job.queries.js';
import { barOf, extentOf } from './task-bar.js';

const task = (startedAt: string | null, endedAt: string | null): TaskSummary => ({
  uuid: 'u',
  task: 'T',
  play: null,
  role: null,
  startedAt,
  endedAt,
  ...{ ok: 1, changed: 0, failed: 0, unreachable: 0, skipped: 0, ignored: 0 },
  longestSeconds: 0,
  slowestHost: null,
});

describe("a task's bar", () => {
  const first = task('2026-11-01T10:00:00Z', '2026-11-01T10:00:05Z');
  const second = task('2026-11-01T10:00:05Z', '2026-11-01T10:00:20Z');

  it('stands where the task ran, from the first one to the last', () => {
    const extent = extentOf([first, second]);
    expect(barOf(first, extent)).toEqual({ left: 0, width: 25 });
    expect(barOf(second, extent)).toEqual({ left: 25, width: 75 });
  });

  it('goes to the end while the task runs', () => {
    const running = task('2026-11-01T10:00:10Z', null);
    expect(barOf(running, extentOf([first, second, running]))).toEqual({ left: 50, width: 50 });
  });

  it('is not there when nobody knows when', () => {
    expect(barOf(task(null, null), extentOf([first]))).toBeNull();
  });
});
