/**
 * Running a past job again (docs/RELAUNCH.md, ADR 0023). Exact: everything is looked for, and the job is requested and pinned in one
 * transaction, so that what the plan said is what runs. As it is now: a launch of the template with the past job's prompts.
 */
import { createHash } from 'node:crypto';
import type { OutputOf, ReceivedBy } from '@gantry/contracts/command';
import { PlatformError } from '@gantry/contracts/errors';
import { isFinal } from '@gantry/contracts/job';
import type { PlanRelaunch, RelaunchJob, RelaunchPlan } from '@gantry/contracts/relaunch';
import type { CallContext } from '@gantry/service/context';
import { once } from '@gantry/service/idempotency';
import { compareJobs } from './domain/relaunch.js';
import { findLaunched, readableJob, type JobCommandParts } from './job.commands.js';
import type { PodDriver } from './pod/driver.js';
import { currentJob, currentSnapshot, exactJob, limitHostsOf, pastOf, type Next, type Past } from './relaunch.facts.js'; // prettier-ignore

/** What the commands stand on. */
export interface RelaunchParts extends JobCommandParts {
  pods: Pick<PodDriver, 'findImage'>;
}
type Wanted = ReceivedBy<typeof PlanRelaunch>;

/** What a relaunch would be. */
export const planRelaunch = async (
  parts: RelaunchParts,
  wanted: Wanted,
  context: CallContext,
): Promise<OutputOf<typeof PlanRelaunch>> => {
  const past = await findPast(parts, wanted, context);
  const limitHosts = await limitHostsOf(parts, past, wanted, context);
  const look = wanted.mode === 'exact' ? exactJob : currentJob;
  return planOf(wanted, past, await look(parts, past, wanted, limitHosts, context, true));
};

/** Runs it again. */
export const relaunchJob = async (
  parts: RelaunchParts,
  { idempotencyKey, accept, planSha256, ...wanted }: ReceivedBy<typeof RelaunchJob>,
  context: CallContext,
): Promise<OutputOf<typeof RelaunchJob>> => {
  const principal = context.principal!;
  const { kit, jobs, seal, wake } = parts;
  const scope = `job.relaunch:${principal.userId}`;
  const earlier = await findLaunched(kit, scope, idempotencyKey);
  if (earlier) return { jobId: earlier, created: false };
  const past = await findPast(parts, wanted, context);
  const limitHosts = await limitHostsOf(parts, past, wanted, context);
  const next = await nextOf(parts, past, wanted, limitHosts, { accept, planSha256 }, context);
  const { jobId: parentJobId, mode, hosts } = wanted;
  const { id, created } = await once(kit, { scope, key: idempotencyKey }, async (sql, jobId) => {
    const data = {
      jobId,
      snapshot: next.snapshot,
      prompts: next.prompts,
      launchType: 'relaunch' as const,
      launchedBy: { userId: principal.userId, username: principal.username },
      idempotencyKey,
      parentJobId,
      relaunchOf: { jobId: parentJobId, mode, hosts },
      ...(limitHosts ? { limitHosts } : {}),
    };
    const pin = next.pinned && { kind: 'pin' as const, data: next.pinned };
    const sealed = !pin && context.assertion ? seal.close(jobId, context.assertion) : null;
    await jobs.requestIn(sql, { kind: 'request', data }, pin, sealed, context.meta());
  });
  if (created) wake(id);
  return { jobId: id, created };
};

interface Accepted {
  accept: boolean;
  planSha256?: string | null;
}

const nextOf = async (
  parts: RelaunchParts,
  past: Past,
  wanted: Wanted,
  limitHosts: string[] | null,
  { accept, planSha256 }: Accepted,
  context: CallContext,
) => {
  // Everything else is pinned by the driver, which can wait for a registry that is away.
  if (wanted.mode === 'current')
    return { ...(await currentSnapshot(parts, past, wanted.changes, context)), pinned: null };
  const next = await exactJob(parts, past, wanted, limitHosts, context, false);
  const plan = planOf(wanted, past, next);
  const refused = (reason: string, message: string): PlatformError =>
    new PlatformError('refused', message, { details: { reason, plan } });
  if (!plan.possible || !next.pinned)
    throw refused('relaunch_missing', `This job cannot be run again exactly: ${sentences(plan, 'missing')}`);
  if (planSha256 && planSha256 !== plan.sha256)
    throw refused('plan_changed', 'Something has changed since you looked: look at the plan again.');
  if (plan.needsAcceptance && !accept)
    throw refused('relaunch_changed', `This job would not be run again exactly: ${sentences(plan, 'changed')} Accept the differences, or leave it.`); // prettier-ignore
  return { snapshot: next.job.snapshot, prompts: next.prompts, pinned: next.pinned };
};

const sentences = ({ items }: RelaunchPlan, status: 'missing' | 'changed'): string =>
  items
    .filter((item) => item.status === status && !item.edited)
    .map(({ message }) => message)
    .join(' ');

/** A job that is over and that the person may read; whether they may run it again is said by the owner of its template. */
const findPast = async (
  { jobs, queries }: RelaunchParts,
  { jobId, hosts }: Wanted,
  { principal }: CallContext,
): Promise<Past> => {
  const { status } = await readableJob(queries, jobId, principal!);
  if (!isFinal(status) && hosts === 'failed') {
    throw new PlatformError(
      'refused',
      'The job is not over: which of its hosts fail is not known yet. Wait for its end, or cancel it.',
      { details: { reason: 'not_over', status } },
    );
  }
  return pastOf(jobId, (await jobs.load(jobId))!.state);
};

const firstHosts = 20;

const planOf = ({ jobId, mode, hosts, changes }: Wanted, past: Past, { job }: Next): RelaunchPlan => {
  const items = compareJobs(past, job, changes);
  const { limitHosts } = job;
  return {
    jobId,
    mode,
    hosts,
    items,
    limitHosts: limitHosts && { total: limitHosts.length, names: limitHosts.slice(0, firstHosts) },
    possible: items.every(({ status }) => status !== 'missing'),
    needsAcceptance: mode === 'exact' && items.some(({ status, edited }) => status === 'changed' && !edited),
    sha256: createHash('sha256').update(JSON.stringify(items)).digest('hex'),
  };
};
