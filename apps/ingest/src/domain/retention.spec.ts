import { describe, expect, it } from 'vitest';
import {
  NO_TEMPLATE,
  mayGoOn,
  partitionFor,
  partitionToMoveTo,
  planPartition,
  rulesOf,
  sayKeeping,
  type UsageGroup,
} from './retention.js';

const [org, other, template] = [
  '0b9e6a4e-0000-4000-8000-000000000001',
  '0b9e6a4e-0000-4000-8000-000000000002',
  '0b9e6a4e-0000-4000-8000-000000000003',
];
const group = (more: Partial<UsageGroup> = {}): UsageGroup => ({
  organizationId: org,
  jobTemplateId: NO_TEMPLATE,
  endedOn: '2026-03-01',
  jobs: 10,
  storedBytes: 1_000,
  ...more,
});
const days = (keepDays: number, rules: Parameters<typeof rulesOf>[0] = []) => rulesOf(rules, keepDays);
const plan = (groups: UsageGroup[], today: string, rules = days(30), openJobs = 0, key = '2026-04-02') =>
  planPartition({ key, groups, openJobs }, rules, today);

describe('the rule for a job', () => {
  const rules = days(30, [
    { organizationId: org, jobTemplateId: NO_TEMPLATE, keepDays: 7 },
    { organizationId: org, jobTemplateId: template, keepDays: 0 },
  ]);
  it('is its template’s, else its organization’s, else the default', () => {
    expect(rules(org, template)).toEqual({ keepDays: 0, rule: 'job_template' });
    expect(rules(org, other)).toEqual({ keepDays: 7, rule: 'organization' });
    expect(rules(org, null)).toEqual({ keepDays: 7, rule: 'organization' });
    // A rule holds in its own organization alone, whatever template it names.
    expect(rules(other, template)).toEqual({ keepDays: 30, rule: 'default' });
  });
  it('is said in words', () => {
    expect(sayKeeping(rules(org, template))).toBe('kept for ever by the rule of its job template');
    expect(sayKeeping(rules(other, null))).toBe('kept for 30 days by the rule of this installation');
  });
});

describe('the partition of a job', () => {
  it('is that of the day on which it may go, with a day for jobs that run past midnight', () => {
    expect(partitionFor('2026-03-01', 30)).toBe('2026-04-02');
    expect(mayGoOn('2026-03-01', 30)! <= '2026-04-02').toBe(true);
    expect(mayGoOn('2026-03-02', 30)! <= '2026-04-02').toBe(true);
    expect(mayGoOn('2026-03-01', 0)).toBe(null);
  });
  it('is one a day for jobs that are kept for ever', () => {
    expect([partitionFor('2026-03-01', 0), partitionFor('2026-03-02', 0)]).toEqual([
      '3026-03-01',
      '3026-03-02',
    ]);
  });
  it('is another one when it outlives its own', () => {
    expect(partitionToMoveTo('2026-03-01', 365, '2026-04-02', '2026-04-02')).toBe('2027-03-02');
    expect(partitionToMoveTo('2026-03-01', 0, '3026-03-01', '2026-09-01')).toBe('3026-09-01');
    expect(partitionToMoveTo('2026-03-01', 0, '3026-09-01', '2026-09-01')).toBe('3026-09-02');
  });
});

describe('a partition', () => {
  it('waits for its day, and goes on it', () => {
    expect(plan([group()], '2026-03-31')).toMatchObject({ action: 'wait', due: '2026-04-02' });
    expect(plan([group()], '2026-04-02')).toMatchObject({ action: 'drop', keptJobs: 0 });
  });
  it('never goes while a job in it is not over, however old', () => {
    expect(plan([group()], '2036-01-01', days(30), 1)).toMatchObject({
      action: 'wait',
      reason: '1 job in it is not over',
      due: null,
    });
  });
  it('keeps what ended late for the whole time: few are moved, many make it wait', () => {
    const late = group({ endedOn: '2026-03-20', jobs: 1, storedBytes: 50 });
    expect(plan([group(), late], '2026-04-02')).toMatchObject({ action: 'drop', keptJobs: 1 });
    expect(plan([group(), { ...late, storedBytes: 5_000 }], '2026-04-02')).toMatchObject({
      action: 'wait',
      reason: '1 of 11 jobs in it is kept for longer',
      due: '2026-04-20',
    });
  });
  it('is not taken apart a day early for jobs that ended a day apart', () => {
    const next = group({ endedOn: '2026-03-02', jobs: 1, storedBytes: 30 });
    expect(plan([group(), next], '2026-04-01').action).toBe('wait');
    expect(plan([group(), next], '2026-04-02')).toMatchObject({ action: 'drop', keptJobs: 0 });
  });
  it('goes early when the rules became shorter, later when they became longer', () => {
    expect(plan([group()], '2026-03-12', days(7))).toMatchObject({ action: 'drop', keptJobs: 0 });
    expect(plan([group()], '2026-04-02', days(60))).toMatchObject({ action: 'wait', due: '2026-05-01' });
    expect(plan([group()], '2026-04-02', days(0))).toMatchObject({ action: 'wait', due: null });
  });
  it('of jobs kept for ever goes when a rule is set at last', () => {
    const key = '3026-03-01';
    expect(plan([group()], '2026-06-01', days(0), 0, key)).toMatchObject({ action: 'wait', due: null });
    expect(plan([group()], '2026-06-01', days(90), 0, key)).toMatchObject({
      action: 'wait',
      due: '2026-06-02',
    });
    expect(plan([group()], '2026-06-02', days(90), 0, key)).toMatchObject({ action: 'drop' });
  });
  it('that holds nothing is removed once nothing can come into it', () => {
    expect(plan([], '2026-04-02')).toMatchObject({ action: 'wait' });
    expect(plan([], '2026-04-03')).toMatchObject({ action: 'empty' });
    expect(plan([], '2026-03-03', days(0), 0, '3026-03-01').action).toBe('wait');
    expect(plan([], '2026-03-04', days(0), 0, '3026-03-01').action).toBe('empty');
  });
});
