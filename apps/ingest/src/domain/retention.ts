/**
 * How long the output of a job is kept, and what becomes of a partition (docs/adr/0016). Days are UTC, `YYYY-MM-DD`.
 *
 * A job lies in the partition of the first day on which the rule of its opening lets it go. A partition is dropped when the
 * rules in force now let every job in it go:
 *   wait   a job in it still runs, or too many are kept for longer;
 *   drop   all may go, or all but a few, which are moved to other partitions first;
 *   empty  nothing lies in it and nothing will.
 */

/** Stands for "no template" in tables: the rule of an organization. */
export const NO_TEMPLATE = '00000000-0000-0000-0000-000000000000';

/** Days to keep, and whose rule says so. */
export interface Keeping {
  /** 0: for ever. */
  keepDays: number;
  rule: 'job_template' | 'organization' | 'default';
}

/** A rule as it is kept. */
export interface Rule {
  organizationId: string;
  /** NO_TEMPLATE: of the organization. */
  jobTemplateId: string;
  keepDays: number;
}

/** The rule for a job: its template's, else its organization's, else the default. */
export type Rules = (organizationId: string, jobTemplateId: string | null) => Keeping;

/** Rules to ask. */
export const rulesOf = (rules: readonly Rule[], defaultKeepDays: number): Rules => {
  const keyOf = (organizationId: string, jobTemplateId: string): string =>
    `${organizationId}/${jobTemplateId}`;
  const known = new Map(rules.map((rule) => [keyOf(rule.organizationId, rule.jobTemplateId), rule.keepDays]));
  return (organizationId, jobTemplateId) => {
    const template = known.get(keyOf(organizationId, jobTemplateId ?? NO_TEMPLATE));
    if (template !== undefined)
      return {
        keepDays: template,
        rule: (jobTemplateId ?? NO_TEMPLATE) === NO_TEMPLATE ? 'organization' : 'job_template',
      };
    const organization = known.get(keyOf(organizationId, NO_TEMPLATE));
    return organization === undefined
      ? { keepDays: defaultKeepDays, rule: 'default' }
      : { keepDays: organization, rule: 'organization' };
  };
};

const names = {
  job_template: 'its job template',
  organization: 'its organization',
  default: 'this installation',
};

/** The rule as a sentence. */
export const sayKeeping = ({ keepDays, rule }: Keeping): string =>
  `kept ${keepDays === 0 ? 'for ever' : `for ${keepDays} ${keepDays === 1 ? 'day' : 'days'}`} by the rule of ${names[rule]}`;

/** `days` later. */
export const addDays = (day: string, days: number): string =>
  new Date(Date.parse(`${day}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);

/** Years to a day that never comes: partitions of jobs that are kept for ever still are one a day. */
const FOR_EVER_YEARS = 1_000;

const forEver = (day: string): string => {
  const date = new Date(`${day}T00:00:00Z`);
  date.setUTCFullYear(date.getUTCFullYear() + FOR_EVER_YEARS);
  return date.toISOString().slice(0, 10);
};

/** Does the key stand for "never"? */
export const isForEver = (key: string): boolean => Number(key.slice(0, 4)) > 2_900;

/** First day on which a job that ended on `endedOn` may go; null: never. It is kept for whole days after the day of its end. */
export const mayGoOn = (endedOn: string, keepDays: number): string | null =>
  keepDays === 0 ? null : addDays(endedOn, keepDays + 1);

/** Partition of a job that is opened now. A day to spare: jobs that run past midnight need no other partition. */
export const partitionFor = (openedOn: string, keepDays: number): string =>
  keepDays === 0 ? forEver(openedOn) : addDays(openedOn, keepDays + 2);

/** Partition for a job that outlives the one it lies in. Never that same one. */
export const partitionToMoveTo = (endedOn: string, keepDays: number, key: string, today: string): string => {
  const target = mayGoOn(endedOn, keepDays) ?? forEver(today);
  return target === key ? addDays(target, 1) : target;
};

/** Jobs of a partition that are over and share what decides about them. */
export interface UsageGroup {
  organizationId: string;
  /** NO_TEMPLATE: not known. */
  jobTemplateId: string;
  endedOn: string;
  jobs: number;
  storedBytes: number;
}

/** A partition before it is judged. */
export interface PartitionState {
  key: string;
  groups: readonly UsageGroup[];
  /** Jobs in it that are not over. */
  openJobs: number;
}

/** What is to be done with a partition. */
export interface PartitionPlan {
  action: 'wait' | 'drop' | 'empty';
  reason: string;
  /** First day on which that may change by itself. */
  due: string | null;
  /** Jobs that are to be moved first (drop), or are in the way (wait). */
  keptJobs: number;
}

/** At most this share of a partition's bytes is moved to let the rest go. */
const MOST_MOVED = 0.25;

/**
 * The day as of which a partition is judged. Before its key's day a partition goes only if rules became shorter; two days
 * of patience keep the jobs of a plain partition, which differ by a day or two in their ends, from being moved apart.
 */
export const judgedAsOf = (key: string, today: string): string => (key <= today ? today : addDays(today, -2));

/** Judges a partition by the rules in force. Pure. */
export const planPartition = (state: PartitionState, rules: Rules, today: string): PartitionPlan => {
  const { key, groups, openJobs } = state;
  if (openJobs > 0)
    return {
      action: 'wait',
      reason: `${plural(openJobs, 'job')} in it ${openJobs === 1 ? 'is' : 'are'} not over`,
      due: null,
      keptJobs: 0,
    };
  const jobs = groups.reduce((sum, group) => sum + group.jobs, 0);
  if (jobs === 0) {
    // A job that was opened under an older rule could still come a day late, not more.
    const past = isForEver(key) ? addDays(key, 2) < forEver(today) : key < today;
    return past
      ? { action: 'empty', reason: 'nothing lies in it', due: null, keptJobs: 0 }
      : { action: 'wait', reason: 'made for jobs to come', due: null, keptJobs: 0 };
  }
  const asOf = judgedAsOf(key, today);
  const ends = groups
    .map((group) => ({
      ...group,
      goesOn: mayGoOn(group.endedOn, rules(group.organizationId, group.jobTemplateId).keepDays),
    }))
    .sort((a, b) => ((a.goesOn ?? '9999') < (b.goesOn ?? '9999') ? -1 : 1));
  const kept = ends.filter(({ goesOn }) => goesOn === null || goesOn > asOf);
  const keptJobs = kept.reduce((sum, group) => sum + group.jobs, 0);
  if (keptJobs === 0) return { action: 'drop', reason: 'every job in it may go', due: today, keptJobs };
  if (fewEnough(kept, groups)) {
    const reason = `all may go but ${plural(keptJobs, 'job')}, kept for longer: to be moved first`;
    return { action: 'drop', reason, due: today, keptJobs };
  }
  const left = (day: string): typeof ends => ends.filter(({ goesOn }) => goesOn === null || goesOn > day);
  const day = kept.find(({ goesOn }) => goesOn !== null && fewEnough(left(goesOn), groups))?.goesOn ?? null;
  return {
    action: 'wait',
    reason: `${keptJobs} of ${plural(jobs, 'job')} in it ${keptJobs === 1 ? 'is' : 'are'} kept for longer`,
    due: day === null ? null : firstJudged(key, day),
    keptJobs,
  };
};

/** First day on which the partition is judged as of `day` or later. */
const firstJudged = (key: string, day: string): string => {
  const patient = addDays(day, 2);
  const byKey = day > key ? day : key;
  return patient < byKey ? patient : byKey;
};

const fewEnough = (kept: readonly UsageGroup[], all: readonly UsageGroup[]): boolean => {
  const bytes = (groups: readonly UsageGroup[]): number =>
    groups.reduce((sum, group) => sum + group.storedBytes + group.jobs, 0);
  return bytes(kept) <= MOST_MOVED * bytes(all);
};

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;
