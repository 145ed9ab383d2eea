import { describe, expect, it } from 'vitest';
import { firstLineOf, ndjsonOf, textOf } from './job-output.js';

const event = (stdout: string, startLine: number, endLine: number) => ({ stdout, startLine, endLine });

describe('the text of events', () => {
  it('ends each line, and has the blank ones that only the line numbers know of', () => {
    const events = [
      event('', 0, 0),
      event('\r\nTASK [a] ***', 0, 2),
      event('recap', 2, 4),
      event('no end', 4, 4),
    ];
    expect(textOf(events)).toBe('\nTASK [a] ***\nrecap\n\nno end\n');
    expect(firstLineOf(events)).toBe(0);
    expect([textOf([event('', 3, 3)]), firstLineOf([event('', 3, 3)])]).toEqual(['', null]);
  });

  it('is not blown up by what is shown in part, or by lying line numbers', () => {
    expect(textOf([event('x'.repeat(40_000), 0, 2_000_000)])).toHaveLength(40_001);
    expect(textOf([event('x', 0, 2 ** 31 - 1)]).length).toBeLessThan(40_000);
  });
});

describe('events as lines of JSON', () => {
  it('are one a line, whatever is in them', () => {
    const events = [{ stdout: 'a\nb' }, { stdout: '\u2028' }];
    expect(
      ndjsonOf(events)
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as object),
    ).toEqual(events);
  });
});
