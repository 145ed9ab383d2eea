import { errorTreatments, isPlatformError, PlatformError } from '@gantry/contracts/errors';
import {
  CancelJob,
  GetJob,
  GetTimeline,
  LaunchJob,
  ListJobs,
  type Job,
  type JobStatus,
  type TimelineEntry,
} from '@gantry/contracts/job';
import {
  GetMoment,
  ListHostSummaries,
  ListJobEvents,
  ListTaskSummaries,
  ReadStdout,
  SearchOutput,
  type JobEventFilter,
  type OutputFormat,
  type ResultStatus,
  type TaskSummary,
} from '@gantry/contracts/record';
import type { LaunchPrompts } from '@gantry/contracts/template';
import { connectionOf, fromEnum, pageOf, toEnum } from './connection.js';
import type { GraphqlContext } from './context.js';
import { allJobStatus, endable, jobOutput, jobStatus, type OutputRequest } from './job-feed.js';
import { firstLineOf, ndjsonOf, textOf } from './job-output.js';
import type { OutputBatch } from './job-tails.js';
import { summaryOf } from './timeline.js';
import { verifyJob } from './verification.js';

type Context = GraphqlContext;
interface LaunchInput extends Omit<LaunchPrompts, 'jobType'> {
  jobTemplate: string;
  idempotencyKey: string;
  jobType?: string | null;
}

/** A job as asked for: with `asOf` its record is shown as it was after that event. */
type ShownJob = Job & { asOf?: number | null };

/** The filter as the schema has it: its enums in upper case. */
type FilterInput = Omit<JobEventFilter, 'statuses'> & { statuses?: string[] | null };

const filterOf = (filter: FilterInput | null | undefined): JobEventFilter => ({
  ...filter,
  statuses: filter?.statuses?.map((status) => fromEnum<ResultStatus>(status)),
});

/** The filter, and nothing after the event that the job is shown as of. */
const upTo = (filter: JobEventFilter, asOf: number | null | undefined): JobEventFilter =>
  typeof asOf === 'number'
    ? { ...filter, before: Math.min(filter.before ?? Number.POSITIVE_INFINITY, asOf + 1) }
    : filter;

/** Refusals that a client handles become a member of the result union; the rest stays an error. */
const refusal =
  (typename: string) =>
  (error: unknown): object => {
    if (isPlatformError(error) && ['invalid', 'refused', 'forbidden', 'not_found'].includes(error.code)) {
      return { __typename: typename, code: errorTreatments[error.code].graphql, message: error.message };
    }
    throw error;
  };

/** What is not there, or not to be seen, is null. */
export const orNull = (error: unknown): null => {
  if (isPlatformError(error) && (error.code === 'not_found' || error.code === 'forbidden')) return null;
  throw error;
};

/** A job without a record yet has read nothing. */
const orElse =
  <T>(empty: T) =>
  (error: unknown): T => {
    if (isPlatformError(error) && error.code === 'not_found') return empty;
    throw error;
  };

/** Above every counter: a record's counters are 32-bit integers. */
const LAST_COUNTER = 2 ** 31 - 1;

/** A page of tasks goes on after the first counter of its last task. */
const counterOf = (cursor: string | null | undefined): number => {
  const counter = Number(cursor ?? 0);
  if (Number.isInteger(counter) && counter >= 0) return counter;
  throw new PlatformError('invalid', `"${cursor}" is no cursor of task summaries: take pageInfo.endCursor.`);
};

const launch = async ({ call }: Context, input: LaunchInput): Promise<object> => {
  const { jobTemplate, idempotencyKey, jobType, ...prompts } = input;
  const { jobId, created } = await call(LaunchJob, {
    jobTemplate,
    idempotencyKey,
    prompts: { ...prompts, jobType: jobType ? fromEnum<'run' | 'check'>(jobType) : null },
  });
  return { __typename: 'LaunchedJob', created, job: await call(GetJob, { jobId }) };
};

/** Jobs: launch, cancel, look, watch. */
export const jobResolvers = {
  Query: {
    jobs: async (
      _: unknown,
      args: { first?: number; after?: string; status?: string[]; jobTemplateId?: string },
      { call }: Context,
    ) =>
      connectionOf(
        await call(ListJobs, {
          ...pageOf(args),
          status: args.status?.map((status) => fromEnum<JobStatus>(status)),
          jobTemplateId: args.jobTemplateId,
        }),
      ),
    job: async (_: unknown, { id, asOf }: { id: string; asOf?: number | null }, { call }: Context) => {
      const job = await call(GetJob, { jobId: id }).catch(orNull);
      return job && ({ ...job, asOf } satisfies ShownJob);
    },
    verifyJob: (_: unknown, { id, after }: { id: string; after?: string | null }, { call }: Context) =>
      verifyJob(call, id, after ?? null),
  },
  Mutation: {
    launchJob: (_: unknown, { input }: { input: LaunchInput }, context: Context) =>
      launch(context, input).catch(refusal('LaunchRefused')),
    cancelJob: async (_: unknown, { id, force }: { id: string; force: boolean }, { call }: Context) =>
      call(CancelJob, { jobId: id, force })
        .then(async () => ({ __typename: 'CanceledJob', job: await call(GetJob, { jobId: id }) }))
        .catch(refusal('CancelRefused')),
  },
  Subscription: {
    jobOutput: {
      subscribe: (
        _: unknown,
        args: Omit<OutputRequest, 'filter'> & { filter?: FilterInput },
        context: Context,
      ) => endable((signal) => jobOutput(context, { ...args, filter: filterOf(args.filter) }, signal)),
      resolve: (batch: object) => batch,
    },
    jobStatus: {
      subscribe: (_: unknown, { jobId }: { jobId?: string | null }, context: Context) =>
        endable((signal) => (jobId ? jobStatus(context, jobId, signal) : allJobStatus(context, signal))),
      resolve: (job: object) => job,
    },
  },
  Job: {
    status: (job: Job) => toEnum(job.status),
    launchType: (job: Job) => toEnum(job.launchType),
    launchedBy: (job: Job) => job.launchedBy.username,
    elapsedSeconds: (job: Job) =>
      job.startedAt
        ? (Date.parse(job.finishedAt ?? new Date().toISOString()) - Date.parse(job.startedAt)) / 1_000
        : null,
    organization: (job: Job, _: unknown, { load }: Context) => load.organization.load(job.organizationId),
    jobTemplate: (job: Job, _: unknown, { load }: Context) => load.jobTemplate.load(job.jobTemplateId),
    jobTemplateVersion: (job: Job) => job.snapshot.jobTemplateVersion,
    playbook: (job: Job) => job.snapshot.playbook,
    jobType: (job: Job) => toEnum(job.snapshot.jobType),
    limit: (job: Job) => job.snapshot.limit,
    extraVars: (job: Job) => job.snapshot.extraVars,
    timeline: async (job: Job, { after }: { after: number }, { call }: Context) =>
      (await call(GetTimeline, { jobId: job.id, afterVersion: after })).entries,
    hostSummaries: async (job: ShownJob, args: { first: number; after?: string }, { call }: Context) => {
      const page = await call(ListHostSummaries, {
        jobId: job.id,
        first: args.first,
        after: args.after,
        asOf: job.asOf,
      }).catch(orElse({ items: [], hasNextPage: false, totalCount: 0 }));
      return {
        nodes: page.items,
        pageInfo: { hasNextPage: page.hasNextPage, endCursor: page.items.at(-1)?.host ?? null },
        totalCount: page.totalCount,
      };
    },
    taskSummaries: async (job: ShownJob, args: { first: number; after?: string }, { call }: Context) => {
      const page = await call(ListTaskSummaries, {
        jobId: job.id,
        first: args.first,
        after: counterOf(args.after),
        asOf: job.asOf,
      }).catch(orElse({ items: [], hasNextPage: false, totalCount: 0 }));
      const endCursor = page.items.at(-1)?.firstCounter.toString() ?? null;
      return {
        nodes: page.items,
        pageInfo: { hasNextPage: page.hasNextPage, endCursor },
        totalCount: page.totalCount,
      };
    },
    moment: (job: ShownJob, _: unknown, { call }: Context) =>
      call(GetMoment, { jobId: job.id, asOf: job.asOf ?? LAST_COUNTER }).catch(orElse(null)),
    events: async (
      job: ShownJob,
      args: { first: number; after: number; filter?: FilterInput },
      { call }: Context,
    ) => {
      const page = await call(ListJobEvents, {
        jobId: job.id,
        after: args.after,
        limit: args.first,
        filter: upTo(filterOf(args.filter), job.asOf),
      }).catch(orElse({ events: [], lastCounter: args.after, committedCounter: 0, final: null }));
      return { ...page, nodes: page.events, hasNextPage: page.lastCounter < page.committedCounter };
    },
    stdout: (
      job: ShownJob,
      args: { startLine: number; endLine?: number | null; format: string },
      { call }: Context,
    ) =>
      call(ReadStdout, {
        jobId: job.id,
        startLine: args.startLine,
        endLine: args.endLine,
        format: fromEnum<OutputFormat>(args.format),
        asOf: job.asOf,
      }).catch(orElse({ text: '', startLine: 0, endLine: 0, totalLines: 0 })),
    outputMatches: async (
      job: ShownJob,
      args: { text: string; fromLine: number; backwards: boolean; first: number },
      { call }: Context,
    ) => {
      const { matches, ...page } = await call(SearchOutput, { jobId: job.id, asOf: job.asOf, ...args }).catch(
        orElse({ matches: [], searchedLine: args.fromLine, complete: true }),
      );
      return { ...page, nodes: matches };
    },
  },
  TaskSummary: {
    totalSeconds: (task: TaskSummary) => task.totalMilliseconds / 1_000,
    longestSeconds: (task: TaskSummary) => task.longestMilliseconds / 1_000,
  },
  JobOutputBatch: {
    text: ({ events }: OutputBatch) => textOf(events),
    firstLine: ({ events }: OutputBatch) => firstLineOf(events),
    ndjson: ({ events }: OutputBatch) => ndjsonOf(events),
  },
  PinnedProject: { archiveSha256: (project: { archive: { sha256: string } }) => project.archive.sha256 },
  PinnedInventory: { sha256: (inventory: { object: { sha256: string } }) => inventory.object.sha256 },
  VerificationFinding: { part: (finding: { part: string }) => toEnum(finding.part) },
  RecordFinal: { status: (final: { status: string | null }) => (final.status ? toEnum(final.status) : null) },
  TimelineEntry: {
    actor: (entry: TimelineEntry) => entry.actor.name,
    summary: (entry: TimelineEntry) => summaryOf(entry),
  },
};
