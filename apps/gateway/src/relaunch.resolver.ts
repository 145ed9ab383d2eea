import { errorTreatments, isPlatformError } from '@gantry/contracts/errors';
import { GetJob, ListJobs, type Job } from '@gantry/contracts/job';
import { PlanRelaunch, RelaunchJob, type RelaunchItem, type RelaunchPlan } from '@gantry/contracts/relaunch';
import type { InputOf } from '@gantry/contracts/command';
import type { LaunchPrompts } from '@gantry/contracts/template';
import { connectionOf, fromEnum, pageOf, toEnum } from './connection.js';
import type { GraphqlContext } from './context.js';
import { orNull } from './job.resolver.js';

type Context = GraphqlContext;
interface RelaunchInput {
  jobId: string;
  mode: string;
  hosts: string;
  changes?: (Omit<LaunchPrompts, 'jobType'> & { jobType?: string | null }) | null;
}

const wantedOf = ({ jobId, mode, hosts, changes }: RelaunchInput): InputOf<typeof PlanRelaunch> => ({
  jobId,
  mode: fromEnum<'exact' | 'current'>(mode),
  hosts: fromEnum<'all' | 'failed'>(hosts),
  changes: {
    ...changes,
    jobType: changes?.jobType ? fromEnum<'run' | 'check'>(changes.jobType) : (changes?.jobType as null),
  },
});

/** What a client handles becomes a member of the union, with the plan if there is one; the rest stays an error. */
const refusal = (error: unknown): object => {
  if (isPlatformError(error) && ['invalid', 'refused', 'forbidden', 'not_found'].includes(error.code)) {
    const { reason, plan } = error.details as { reason?: unknown; plan?: RelaunchPlan };
    return {
      __typename: 'RelaunchRefused',
      code: errorTreatments[error.code].graphql,
      reason: typeof reason === 'string' ? reason : null,
      message: error.message,
      plan: plan ?? null,
    };
  }
  throw error;
};

const enumOf =
  <K extends 'mode' | 'hosts'>(field: K) =>
  (object: Record<K, string>): string =>
    toEnum(object[field]);

/** Running a past job again. */
export const relaunchResolvers = {
  Query: {
    relaunchPlan: (_: unknown, input: RelaunchInput, { call }: Context) =>
      call(PlanRelaunch, wantedOf(input))
        .then((plan) => ({ __typename: 'RelaunchPlan', ...plan }))
        .catch(refusal),
  },
  Mutation: {
    relaunchJob: (
      _: unknown,
      { input }: { input: RelaunchInput & { idempotencyKey: string; accept: boolean; planSha256?: string } },
      { call }: Context,
    ) => {
      const { idempotencyKey, accept, planSha256 } = input;
      return call(RelaunchJob, { ...wantedOf(input), idempotencyKey, accept, planSha256 })
        .then(async ({ jobId, created }) => ({
          __typename: 'LaunchedJob',
          created,
          job: await call(GetJob, { jobId }),
        }))
        .catch(refusal);
    },
  },
  Job: {
    parent: (job: Job, _: unknown, { call }: Context) =>
      job.parentJobId ? call(GetJob, { jobId: job.parentJobId }).catch(orNull) : null,
    children: async (job: Job, args: { first?: number; after?: string }, { call }: Context) =>
      connectionOf(await call(ListJobs, { ...pageOf(args), parentJobId: job.id })),
  },
  RelaunchOf: { mode: enumOf('mode'), hosts: enumOf('hosts') },
  RelaunchPlan: {
    mode: enumOf('mode'),
    hosts: enumOf('hosts'),
    limitHosts: ({ limitHosts }: RelaunchPlan) =>
      limitHosts && { totalHosts: limitHosts.total, names: limitHosts.names },
  },
  RelaunchItem: {
    part: (item: RelaunchItem) => toEnum(item.part),
    status: (item: RelaunchItem) => toEnum(item.status),
  },
};
