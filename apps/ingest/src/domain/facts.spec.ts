import { describe, expect, it } from 'vitest';
import { extract } from './batch.js';
import { factsOf, isIndexed, statsOf, wellFormed } from './facts.js';

const runner = (event: string, data: object) => ({
  event,
  event_data: { host: 'web1', task: 'Install', task_uuid: 't1', ...data },
});
const line = (event: Record<string, unknown>, counter = 1) => ({ counter, start: 0, end: 1, event });

describe('the facts of an event', () => {
  it('name host, task and duration', () => {
    expect(factsOf(runner('runner_on_ok', { duration: 1.234, res: { changed: true } }))).toMatchObject({
      event: 'runner_on_ok',
      host: 'web1',
      task: 'Install',
      taskUuid: 't1',
      changed: true,
      failed: false,
      durationMilliseconds: 1_234,
    });
  });
  it('do not call an ignored failure failed', () => {
    expect(factsOf(runner('runner_on_failed', { ignore_errors: true }))).toMatchObject({
      failed: false,
      ignored: true,
    });
    expect(factsOf(runner('runner_on_failed', {}))).toMatchObject({ failed: true });
  });
  it('call a gap in the record a failure, of no host', () => {
    const gap = factsOf({ event: 'gantry_gap', event_data: { reason: 'event_cut', message: 'gone' } });
    expect(gap).toMatchObject({ failed: true, host: null });
    expect(isIndexed(gap)).toBe(true);
  });
  it('survive anything that is not what it should be', () => {
    expect(factsOf({ event: 7, event_data: 'text' })).toMatchObject({ event: '', host: null });
    expect(
      factsOf({ event: 'runner_on_ok', event_data: { host: { deep: true }, duration: 1e400, res: [] } }),
    ).toMatchObject({ host: null, durationMilliseconds: null });
    expect(factsOf(null)).toMatchObject({ event: '', failed: false });
  });
  it('give every event a row but output and starts', () => {
    expect(isIndexed(factsOf({ event: 'verbose' }))).toBe(false);
    expect(isIndexed(factsOf(runner('runner_on_start', {})))).toBe(false);
    expect(isIndexed(factsOf(runner('runner_on_ok', {})))).toBe(true);
    expect(isIndexed(factsOf(runner('runner_on_something_new', {})))).toBe(true);
  });
});

describe('the numbers of hosts', () => {
  it('are counted from results, not from items', () => {
    const lines = [
      runner('runner_on_ok', { res: { changed: true } }),
      runner('runner_item_on_ok', {}),
      runner('runner_on_failed', { ignore_errors: true }),
      runner('runner_on_skipped', {}),
      runner('runner_on_unreachable', {}),
      runner('runner_on_failed', {}),
    ].map((event) => line(event));
    expect(extract(lines).added.get('web1')).toEqual({
      ok: 2,
      changed: 1,
      failures: 1,
      dark: 1,
      skipped: 1,
      rescued: 0,
      ignored: 1,
    });
  });
  it('are set right by the stats, hosts without a result included', () => {
    const stats = statsOf({
      event: 'playbook_on_stats',
      event_data: { ok: { a: 3 }, rescued: { a: 1 }, processed: { a: 1, b: 1 }, failures: { c: 'x' } },
    });
    expect(stats?.get('a')).toMatchObject({ ok: 3, rescued: 1, failures: 0 });
    expect(stats?.get('b')).toMatchObject({ ok: 0 });
    expect(stats?.has('c')).toBe(false);
  });
});

describe('text for Postgres', () => {
  it('has no NUL and no lone surrogate', () => {
    expect(wellFormed('a\u0000b\ud800c\udc00d\u{1f600}')).toBe('a\ufffdb\ufffdc\ufffdd\u{1f600}');
  });
});
