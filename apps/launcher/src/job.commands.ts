/** What people do with jobs: launch, cancel, look. */
import { authorize, can, type Principal } from '@gantry/contracts/access';
import type { OutputOf, ReceivedBy } from '@gantry/contracts/command';
import { PlatformError } from '@gantry/contracts/errors';
import type { CancelJob, GetJob, GetTimeline, Job, LaunchJob, ListJobs } from '@gantry/contracts/job';
import type { ReadJobForArchive, ReadJobStream, VerifyJobStream } from '@gantry/contracts/proof';
import { SnapshotJobTemplate } from '@gantry/contracts/template';
import { checkJobWord } from '@gantry/eventlog/record-check';
import { checkStream } from '@gantry/eventlog/stream-check';
import type { CallContext } from '@gantry/service/context';
import { once } from '@gantry/service/idempotency';
import type { ServiceKit } from '@gantry/service/kit';
import type { Seal } from './adapters/seal.js';
import type { JobQueries } from './job.projection.js';
import type { Jobs } from './job.stream.js';

/** What the commands stand on. */
export interface JobCommandParts {
  kit: ServiceKit;
  jobs: Jobs;
  queries: JobQueries;
  seal: Seal;
  wake(jobId: string): void;
}

const scopeOf = (principal: Principal): string => `job.launch:${principal.userId}`;

/** The template's rules are checked by its owner, in the person's name. Answers once the job is committed; everything else follows. */
export const launchJob = async (
  { kit, jobs, seal, wake }: JobCommandParts,
  input: ReceivedBy<typeof LaunchJob>,
  context: CallContext,
): Promise<OutputOf<typeof LaunchJob>> => {
  const principal = context.principal!;
  const { jobTemplate, prompts, launchType, idempotencyKey } = input;
  // A repeated launch is answered even if the template has changed or gone since.
  const earlier = await findLaunched(kit, scopeOf(principal), idempotencyKey);
  if (earlier) return { jobId: earlier, created: false };
  const snapshot = await kit.call(SnapshotJobTemplate, { jobTemplate, prompts }, context);
  const launchedBy = { userId: principal.userId, username: principal.username };
  const { id, created } = await once(
    kit,
    { scope: scopeOf(principal), key: idempotencyKey },
    async (sql, jobId) => {
      const sealed = context.assertion ? seal.close(jobId, context.assertion) : null;
      await jobs.requestIn(
        sql,
        { kind: 'request', data: { jobId, snapshot, prompts, launchType, launchedBy, idempotencyKey } },
        null,
        sealed,
        context.meta(),
      );
    },
  );
  if (created) wake(id);
  return { jobId: id, created };
};

/** The job that this key of this person has made already. */
export const findLaunched = async (
  { pool }: ServiceKit,
  scope: string,
  key: string,
): Promise<string | undefined> => {
  const { rows } = await pool.query<{ id: string }>(
    'select id::text as id from launcher.idempotency_key where scope = $1 and key = $2',
    [scope, key],
  );
  return rows[0]?.id;
};

/** Needs `execute` in the job's organization, or to have launched it. */
export const cancelJob = async (
  { jobs, wake }: JobCommandParts,
  { jobId, force }: ReceivedBy<typeof CancelJob>,
  context: CallContext,
): Promise<OutputOf<typeof CancelJob>> => {
  const principal = context.principal!;
  const job = await jobs.load(jobId);
  const requested = job?.state.requested;
  if (!requested) throw noSuchJob(jobId);
  if (!mayRead(principal, requested.snapshot.organizationId, requested.launchedBy.userId))
    throw noSuchJob(jobId);
  if (requested.launchedBy.userId !== principal.userId) {
    authorize(principal, 'execute', requested.snapshot.organizationId, `the job ${requested.snapshot.name}`);
  }
  const by = { userId: principal.userId, username: principal.username };
  const { state } = await jobs.tell(jobId, [{ kind: 'cancel', by, force }], context.meta());
  wake(jobId);
  return { status: state.status };
};

const mayRead = (principal: Principal, organizationId: string, launchedById: string): boolean =>
  launchedById === principal.userId ||
  can(principal, 'read', organizationId) ||
  can(principal, 'execute', organizationId);

// Whoever may not see a job does not learn that it exists.
const noSuchJob = (jobId: string): PlatformError =>
  new PlatformError('not_found', `There is no job ${jobId}, or you may not see it.`, { details: { jobId } });

/** A job that this person may read; `not_found` otherwise. */
export const readableJob = async (queries: JobQueries, jobId: string, principal: Principal): Promise<Job> => {
  const job = await queries.get(jobId);
  if (!job || !mayRead(principal, job.organizationId, job.launchedBy.userId)) throw noSuchJob(jobId);
  return job;
};

/** Needs `read` in the job's organization, or to have launched it. */
export const getJob = async (
  { queries }: JobCommandParts,
  { jobId }: ReceivedBy<typeof GetJob>,
  { principal }: CallContext,
): Promise<Job> => readableJob(queries, jobId, principal!);

/** Those that the caller may read. */
export const listJobs = async (
  { queries }: JobCommandParts,
  { first, after, ...filter }: ReceivedBy<typeof ListJobs>,
  { principal }: CallContext,
): Promise<OutputOf<typeof ListJobs>> => queries.list(principal!, filter, { first, after });

/** As `getJob`. */
export const getTimeline = async (
  { queries }: JobCommandParts,
  { jobId, afterVersion }: ReceivedBy<typeof GetTimeline>,
  { principal }: CallContext,
): Promise<OutputOf<typeof GetTimeline>> => {
  await readableJob(queries, jobId, principal!);
  return { entries: await queries.timeline(jobId, afterVersion) };
};

/** The job's events as its log keeps them, with their chain. As `getJob`. */
export const readJobStream = async (
  { kit, queries }: JobCommandParts,
  { jobId, afterVersion }: ReceivedBy<typeof ReadJobStream>,
  { principal }: CallContext,
): Promise<OutputOf<typeof ReadJobStream>> => {
  await readableJob(queries, jobId, principal!);
  return kit.log!.readLinks(`job-${jobId}`, afterVersion);
};

/** For ingest alone, which archives what everybody with the right to may read. */
export const readJobForArchive = async (
  { kit, queries }: JobCommandParts,
  { jobId, afterVersion }: ReceivedBy<typeof ReadJobForArchive>,
): Promise<OutputOf<typeof ReadJobForArchive>> => {
  const job = await queries.get(jobId);
  if (!job) throw noSuchJob(jobId);
  return { job, ...(await kit.log!.readLinks(`job-${jobId}`, afterVersion)) };
};

/** Checks the chain of the job's events, and what they say of its record. As `getJob`. */
export const verifyJobStream = async (
  { kit, queries }: JobCommandParts,
  { jobId, seal }: ReceivedBy<typeof VerifyJobStream>,
  { principal }: CallContext,
): Promise<OutputOf<typeof VerifyJobStream>> => {
  await readableJob(queries, jobId, principal!);
  const stream = `job-${jobId}`;
  const events = await kit.log!.readAllLinks(stream);
  const damaged = checkStream('job_stream', stream, events);
  return {
    findings: [...damaged, ...checkJobWord(events, damaged, seal)],
    events: events.length,
    finished: events.some(({ type }) => type === 'job.finished'),
  };
};
