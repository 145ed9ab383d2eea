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

  it('says which job is run again, how, and on how many hosts', () => {
    const { type, data } = JSON.parse(readFileSync(join(fixtures, 'job.requested.v1.json'), 'utf8')) as {
      type: string;
      data: Record<string, unknown>;
    };
    const jobId = '0198f000-0000-7000-8000-000000000009';
    const relaunchOf = { jobId, mode: 'exact', hosts: 'failed' };
    expect(summaryOf({ type, data: { ...data, relaunchOf, limitHosts: ['a', 'b'] } })).toMatch(
      new RegExp(`^Exactly job ${jobId} again, by .+ on 2 hosts by name$`),
    );
  });

  it("says when the image's tag has moved, and when its registry was away", () => {
    const { type, data } = JSON.parse(readFileSync(join(fixtures, 'job.pinned.v1.json'), 'utf8')) as {
      type: string;
      data: { image: object };
    };
    const previousDigest = `sha256:${'0'.repeat(64)}`;
    const lineOf = (image: object) =>
      summaryOf({ type, data: { ...data, image: { ...data.image, ...image } } });
    expect(lineOf({ resolution: 'resolved', previousDigest })).toContain(
      '(its tag has moved: the job before had 000000000000)',
    );
    expect(lineOf({ resolution: 'known' })).toContain('(the last known one: its registry is away)');
  });

  it('tells an event it does not know by its name', () => {
    expect(summaryOf({ type: 'job.sung', data: {} })).toBe('job.sung');
  });
});
