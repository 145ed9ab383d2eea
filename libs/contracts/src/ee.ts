/** Registry: execution environments. Streams `execution_environment-<id>`. */
import { z } from 'zod';
import { command, Created, Id, IdempotencyKey, Name, pageOf, PageRequest } from './command.js';
import { event } from './envelope.js';

/** When an image is pulled: before every job, when the machine lacks it, never. */
export const pullPolicies = ['always', 'missing', 'never'] as const;
const Settings = z.object({
  name: Name,
  description: z.string().max(10_000).default(''),
  /** null = global: every organization may use it. */
  organizationId: Id.nullish(),
  /** registry/repository:tag or @sha256:digest */
  image: z.string().min(1).max(1_024),
  /** null = as Kubernetes: always for :latest or no tag, else missing. */
  pull: z.enum(pullPolicies).nullish(),
  credentialId: Id.nullish(),
});
/** It is there from here on. */
export const ExecutionEnvironmentRegistered = event(
  'execution_environment.registered',
  1,
  Settings.extend({ executionEnvironmentId: Id, managed: z.boolean() }),
);
/** From here on this one is the default of jobs that name none. */
export const ExecutionEnvironmentMadeDefault = event(
  'execution_environment.made_default',
  1,
  z.object({ executionEnvironmentId: Id }),
);
/** The registry said what the image's tag means now. */
export const ExecutionEnvironmentDigestResolved = event(
  'execution_environment.digest_resolved',
  1,
  z.object({ executionEnvironmentId: Id, image: z.string(), digest: z.string() }),
);
/** Another image from here on: the local one was built under another name. What was resolved before means nothing any more. */
export const ExecutionEnvironmentImageChanged = event(
  'execution_environment.image_changed',
  1,
  z.object({ executionEnvironmentId: Id, image: z.string(), pull: z.enum(pullPolicies).nullable() }),
);
/** The registry's events. */
export const eeEvents = {
  ExecutionEnvironmentRegistered,
  ExecutionEnvironmentMadeDefault,
  ExecutionEnvironmentDigestResolved,
  ExecutionEnvironmentImageChanged,
};

/** An execution environment, as queries give it. `digest`: what the image meant when last resolved, null if never. */
export const ExecutionEnvironment = Settings.extend({
  id: Id,
  managed: z.boolean(),
  isDefault: z.boolean(),
  digest: z.string().nullable(),
  createdAt: z.string(),
});
/** An execution environment, as queries give it. */
export type ExecutionEnvironment = z.output<typeof ExecutionEnvironment>;

/** `invalid` quotes the part of the image reference that is wrong. */
export const RegisterExecutionEnvironment = command('registry.execution_environment.register', {
  callers: ['gateway'],
  input: Settings.extend({ idempotencyKey: IdempotencyKey.nullish() }),
  output: Created,
});
/** By name: the global ones and those of the person's organizations. */
export const ListExecutionEnvironments = command('registry.execution_environment.list', {
  callers: ['gateway'],
  input: PageRequest.extend({ ids: z.array(Id).max(200).nullish() }),
  output: pageOf(ExecutionEnvironment),
});
/** Superusers: the default of jobs that name no execution environment. */
export const MakeDefaultExecutionEnvironment = command('registry.execution_environment.make_default', {
  callers: ['gateway'],
  input: z.object({ id: Id }),
  output: z.object({}),
});
/**
 * Which image shall this job run, and why? `digest` is null when only the pod's engine can know it (an image that is local to it).
 * Contacts the image's registry only for the image of this very job. Errors: not_found, forbidden, refused (the registry says no; its words).
 */
export const ResolveExecutionEnvironment = command('registry.execution_environment.resolve', {
  callers: ['launcher'],
  principal: true,
  timeoutMilliseconds: 30_000,
  input: z.object({ executionEnvironmentId: Id.nullish(), organizationId: Id }),
  output: z.object({
    id: Id,
    name: z.string(),
    image: z.string(),
    pull: z.enum(pullPolicies),
    credentialId: Id.nullish(),
    /** Whose execution environment it is, and so whose its credential must be; null for a global one. */
    organizationId: Id.nullish(),
    digest: z.string().nullable(),
    /** "the job template names it", "the default of this installation" */
    reason: z.string(),
  }),
});
/** What the engine found the image to be; kept as the last known digest. */
export const NoteDigest = command('registry.execution_environment.note_digest', {
  callers: ['launcher'],
  input: z.object({ id: Id, image: z.string(), digest: z.string() }),
  output: z.object({}),
});
/** The registry's commands and queries. */
export const eeCommands = [
  RegisterExecutionEnvironment,
  ListExecutionEnvironments,
  MakeDefaultExecutionEnvironment,
  ResolveExecutionEnvironment,
  NoteDigest,
] as const;
