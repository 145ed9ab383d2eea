import { describe, expect, it } from 'vitest';
import { sayBytes, sayRetention, type RetentionView } from './retention.command.js';

const view: RetentionView = {
  retentionRules: {
    defaultKeepDays: 90,
    rules: [
      {
        organizationId: 'o',
        organization: { name: 'Ops' },
        jobTemplateId: null,
        jobTemplate: null,
        keepDays: 1,
        setBy: 'admin',
      },
      {
        organizationId: 'o',
        organization: { name: 'Ops' },
        jobTemplateId: 'gone',
        jobTemplate: null,
        keepDays: 0,
        setBy: 'admin',
      },
    ],
  },
  storage: {
    totalBytes: 12_345_678,
    storedBytes: 999,
    oldestDay: '2026-03-01',
    nextDrop: null,
    archive: 's3://records',
    organizations: [{ organizationId: 'o', organization: null, jobs: 3, rawBytes: 2_000, storedBytes: 999 }],
    partitions: [
      {
        partition: '3026-03-01',
        bytes: 8_192,
        jobs: 2,
        openJobs: 1,
        action: 'WAIT',
        reason: '1 job in it is not over',
        due: null,
      },
    ],
  },
};

describe('gantry retention', () => {
  it('says rules, sizes and what would go', () => {
    const text = sayRetention(view).join('\n');
    for (const part of [
      'kept 90 days where no rule says otherwise; archived to s3://records',
      'On disk 12.3 MB, compressed output 999 B. Oldest: 2026-03-01. Next drop: none.',
      '1 day',
      'gone',
      'for ever',
      '2 + 1 open',
      '8.2 kB',
      '1 job in it is not over',
    ])
      expect(text).toContain(part);
  });
  it('says bytes in units', () => {
    expect([0, 999, 1_000, 1_500_000, 2e15].map(sayBytes)).toEqual([
      '0 B',
      '999 B',
      '1.0 kB',
      '1.5 MB',
      '2.0 PB',
    ]);
  });
});
