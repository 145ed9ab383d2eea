import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { summaryOf } from './timeline.js';

const fixtures = join(import.meta.dirname, '../../../libs/contracts/fixtures');
const jobEvents = readdirSync(fixtures).filter((file) => file.startsWith('job.'));

describe('the timeline', () => {
  it.each(jobEvents)('has a line for %s', (file) => {
    const event = JSON.parse(readFileSync(join(fixtures, file), 'utf8')) as {
      type: string;
      data: Record<string, unknown>;
    };
    const line = summaryOf(event);
    expect(line).not.toBe(event.type);
    expect(line).toMatch(/^([A-Z]|web1)/);
    expect(line).not.toContain('undefined');
  });

  it('tells an event it does not know by its name', () => {
    expect(summaryOf({ type: 'job.sung', data: {} })).toBe('job.sung');
  });
});
