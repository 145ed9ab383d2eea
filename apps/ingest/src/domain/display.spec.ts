import { describe, expect, it } from 'vitest';
import { displayOf, largestShown, outputOf, showEvent } from './display.js';
import { cutLines } from './ndjson.js';

const show = (text: string) => {
  const raw = Buffer.from(`${text}\n`);
  return showEvent(raw, cutLines(raw, 1)[0]!);
};

describe('an event on display', () => {
  it('has no NUL, no lone surrogate, no infinity and no prototype', () => {
    const shown = show(
      '{"counter":1,"stdout":"a\\u0000\\ud800","event_data":{"__proto__":{"polluted":1},"n":1e400}}',
    );
    expect(shown.stdout).toBe('a\ufffd\ufffd');
    expect(JSON.stringify(shown.eventData)).toBe('{"n":"Infinity"}');
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
  it('is cut at a depth that every reader can bear', () => {
    const deep = JSON.parse(`${'['.repeat(10_000)}${']'.repeat(10_000)}`) as unknown;
    expect(JSON.stringify(displayOf(deep))).toContain('deeper than is shown');
  });
  it('is shown in part when it is large', () => {
    const shown = show(
      JSON.stringify({ counter: 1, stdout: 'x'.repeat(largestShown), event_data: { res: 'y'.repeat(10) } }),
    );
    expect(shown.eventData).toMatchObject({ gantry_truncated: true });
    expect(shown.stdout.length).toBeLessThan(largestShown / 2);
    expect(shown.stdout).toContain(`${largestShown} characters`);
  });
  it('shows bytes that are no JSON as text', () => {
    expect(show('not json')).toMatchObject({ event: 'unreadable', stdout: 'not json' });
  });
});

describe('the output of an event', () => {
  it('is as many lines as it counts', () => {
    expect(outputOf({ stdout: 'a\r\nb', start_line: 3, end_line: 5 })).toEqual([
      [3, 'a'],
      [4, 'b'],
    ]);
    expect(outputOf({ stdout: '', start_line: 3, end_line: 4 })).toEqual([[3, '']]);
    expect(outputOf({ stdout: '', start_line: 3, end_line: 3 })).toEqual([]);
  });
  it('has the blank lines at its end, which are counted only', () => {
    expect(outputOf({ stdout: 'recap', start_line: 3, end_line: 5 })).toEqual([
      [3, 'recap'],
      [4, ''],
    ]);
    expect(outputOf({ stdout: 'x', start_line: 0, end_line: 2 ** 31 - 1 }).length).toBeLessThan(20_000);
  });
});
