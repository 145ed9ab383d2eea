import type { InputOf } from '@gantry/contracts/command';
import type { Job } from '@gantry/contracts/job';
import {
  DescribeStorage,
  ListRetentionRules,
  RemoveRetentionRule,
  SetRetentionRule,
  type RecordRetention,
  type RetentionRule,
  type StoragePartition,
} from '@gantry/contracts/retention';
import { toEnum } from './connection.js';
import type { GraphqlContext } from './context.js';

type Context = GraphqlContext;

/** How long output is kept, where it went, and what it takes on disk. */
export const retentionResolvers = {
  Query: {
    retentionRules: async (
      _: unknown,
      { organizationId }: { organizationId?: string | null },
      { call }: Context,
    ) => {
      const { defaultKeepDays, items } = await call(ListRetentionRules, { organizationId });
      return { defaultKeepDays, rules: items };
    },
    storage: (_: unknown, __: unknown, { call }: Context) => call(DescribeStorage, {}),
  },
  Mutation: {
    setRetentionRule: async (
      _: unknown,
      { input }: { input: InputOf<typeof SetRetentionRule> },
      { call }: Context,
    ) => (await call(SetRetentionRule, input)).rule,
    removeRetentionRule: async (
      _: unknown,
      { input }: { input: InputOf<typeof RemoveRetentionRule> },
      { call }: Context,
    ) => {
      await call(RemoveRetentionRule, input);
      return true;
    },
  },
  Job: {
    recordSize: (job: Job, _: unknown, { load }: Context) => load.retention.load(job.id),
    retention: (job: Job, _: unknown, { load }: Context) => load.retention.load(job.id),
  },
  JobRetention: { scope: ({ rule }: RecordRetention) => toEnum(rule) },
  RetentionRule: {
    organization: ({ organizationId }: RetentionRule, _: unknown, { load }: Context) =>
      load.organization.load(organizationId),
    jobTemplate: ({ jobTemplateId }: RetentionRule, _: unknown, { load }: Context) =>
      jobTemplateId === null ? null : load.jobTemplate.load(jobTemplateId),
  },
  OrganizationStorage: {
    organization: ({ organizationId }: { organizationId: string }, _: unknown, { load }: Context) =>
      load.organization.load(organizationId),
  },
  StoragePartition: { action: ({ action }: StoragePartition) => toEnum(action) },
};
