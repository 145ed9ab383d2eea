/** Registry: execution environments. Streams `execution_environment-<id>`. */
import { z } from 'zod';
import { command, Created, Id, IdempotencyKey, Name, pageOf, PageRequest } from './command.js';
import { event } from './envelope.js';

/** When an image is pulled: before every job, when the machine lacks it, never. */
export const pullPolicies = ['always', 'missing', 'never'] as const;
/** Who names the execution environment of a job, in the order in which they are asked: AWX's. */
export const eeSources = [
  'launch',
  'job_template',
  'project',
  'organization',
  'inventory_organization',
  'setting',
  'global',
] as const;
/** Who names the execution environment of a job. */
export type EeSource = (typeof eeSources)[number];
/** An execution environment that a job may get. `organizationId`: whose default it is; null when the launch or the template names it. */
export const EeCandidate = z.object({
  from: z.enum(eeSources),
  executionEnvironmentId: Id,
  organizationId: Id.nullish(),
});
/** An execution environment that a job may get. */
export type EeCandidate = z.output<typeof EeCandidate>;

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
/** It is there from here on, at version 1 of its settings. */
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
/** Somebody changed it: all settings anew, the next version of them. What was resolved for another image means nothing any more. */
export const ExecutionEnvironmentRevised = event(
  'execution_environment.revised',
  1,
  Settings.extend({ executionEnvironmentId: Id }),
);
/** It is gone: no job can name it from here on. */
export const ExecutionEnvironmentDeleted = event(
  'execution_environment.deleted',
  1,
  z.object({ executionEnvironmentId: Id, name: Name }),
);
/** From whom a digest is known: the image's registry at a launch, on the schedule or because a person asked; or the engine that has the image. */
export const digestSources = ['launch', 'schedule', 'person', 'engine'] as const;
/** The image's tag means this digest from here on. `platforms`: what the image is made for (`linux/amd64`), left out when unknown. */
export const ExecutionEnvironmentDigestResolved = event(
  'execution_environment.digest_resolved',
  1,
  z.object({
    executionEnvironmentId: Id,
    image: z.string(),
    digest: z.string(),
    source: z.enum(digestSources).optional(),
    platforms: z.array(z.string()).optional(),
  }),
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
  ExecutionEnvironmentRevised,
  ExecutionEnvironmentDeleted,
  ExecutionEnvironmentMadeDefault,
  ExecutionEnvironmentDigestResolved,
  ExecutionEnvironmentImageChanged,
};

/**
 * An execution environment, as queries give it.
 * `version`: of its settings. `digest`: what the image meant when last resolved, null if never.
 */
export const ExecutionEnvironment = Settings.extend({
  id: Id,
  version: z.number().int(),
  managed: z.boolean(),
  isDefault: z.boolean(),
  digest: z.string().nullable(),
  /** When `digest` was first seen behind the image's tag. */
  digestSince: z.string().nullable(),
  /** What the last job was given, if the image means something else by now. */
  tagMoved: z.object({ previousDigest: z.string(), digest: z.string(), since: z.string() }).nullable(),
  /** The last time that the image's registry was asked; `failure` and its `words` if that gave nothing. */
  lookup: z
    .object({ at: z.string(), failure: z.string().nullable(), words: z.string().nullable() })
    .nullable(),
  createdAt: z.string(),
});
/** An execution environment, as queries give it. */
export type ExecutionEnvironment = z.output<typeof ExecutionEnvironment>;

/** What an image meant, and for how long. `until` is null for what it means now. */
export const DigestPeriod = z.object({
  image: z.string(),
  digest: z.string(),
  since: z.string(),
  until: z.string().nullable(),
  source: z.enum(digestSources).nullable(),
  platforms: z.array(z.string()).nullable(),
});
/** What an image meant, and for how long. */
export type DigestPeriod = z.output<typeof DigestPeriod>;

/** What uses an execution environment: `setting` is the default of this installation. */
export const ExecutionEnvironmentUser = z.object({
  kind: z.enum(['job_template', 'project', 'organization', 'setting']),
  /** Null for the setting. */
  id: Id.nullable(),
  name: z.string(),
});
/** What uses an execution environment. */
export type ExecutionEnvironmentUser = z.output<typeof ExecutionEnvironmentUser>;
/** Who uses it: those that the asking person may see, and how many there are in all. */
export const ExecutionEnvironmentUsers = z.object({
  items: z.array(ExecutionEnvironmentUser),
  totalCount: z.number().int(),
});
/** Who uses it. */
export type ExecutionEnvironmentUsers = z.output<typeof ExecutionEnvironmentUsers>;

/**
 * For an organization by its administrators, global by superusers. `invalid` quotes the part of the image reference that is wrong;
 * `refused` with reason name_taken, or what the vault says of the credential.
 */
export const CreateExecutionEnvironment = command('registry.execution_environment.create', {
  callers: ['gateway'],
  input: Settings.extend({ idempotencyKey: IdempotencyKey.nullish() }),
  output: Created,
});
/**
 * What is left out stays; null takes away. `expectedVersion`: `conflict` with reason revised if somebody else changed it since.
 * Errors: not_found, forbidden, invalid, refused (name_taken, managed, not_global, in_use with `details.users`: it would leave those who use it).
 */
export const ChangeExecutionEnvironment = command('registry.execution_environment.change', {
  callers: ['gateway'],
  input: z.object({
    id: Id,
    expectedVersion: z.number().int().nullish(),
    name: Name.optional(),
    description: z.string().max(10_000).optional(),
    organizationId: Id.nullish(),
    image: z.string().min(1).max(1_024).optional(),
    pull: z.enum(pullPolicies).nullish(),
    credentialId: Id.nullish(),
  }),
  output: z.object({ version: z.number().int() }),
});
/** Errors: not_found, forbidden, refused (managed; in_use: `details.users` names those that the person may see, `details.totalUsers` counts all). */
export const DeleteExecutionEnvironment = command('registry.execution_environment.delete', {
  callers: ['gateway'],
  input: z.object({ id: Id }),
  output: z.object({}),
});
/** Job templates, projects and organizations that name it, and whether it is the default of this installation. Errors: not_found. */
export const ListExecutionEnvironmentUsers = command('registry.execution_environment.users', {
  callers: ['gateway'],
  input: z.object({ id: Id }),
  output: ExecutionEnvironmentUsers,
});
/** By name: the global ones and those of the person's organizations. Templates and identity ask before they name one. */
export const ListExecutionEnvironments = command('registry.execution_environment.list', {
  callers: ['gateway', 'templates', 'identity'],
  input: PageRequest.extend({ ids: z.array(Id).max(200).nullish(), name: z.string().nullish() }),
  output: pageOf(ExecutionEnvironment),
});
/** What its image meant when, newest first. Errors: not_found. */
export const ListDigestHistory = command('registry.execution_environment.history', {
  callers: ['gateway'],
  input: PageRequest.extend({ id: Id }),
  output: pageOf(DigestPeriod),
});
/** Asks the image's registry now, for a person who may use it. Errors: not_found, forbidden, refused with the registry's words (as `resolve`). */
export const LookUpDigest = command('registry.execution_environment.look_up', {
  callers: ['gateway', 'launcher'],
  timeoutMilliseconds: 30_000,
  input: z.object({ id: Id }),
  output: ExecutionEnvironment.pick({
    name: true,
    image: true,
    credentialId: true,
    organizationId: true,
    digest: true,
  }).extend({ pull: z.enum(pullPolicies), platforms: z.array(z.string()).nullable() }),
});
/** What every execution environment means now, for a clean-up that keeps these images. `digest` is null where only an engine can tell. */
export const ListCurrentImages = command('registry.execution_environment.current_images', {
  callers: ['launcher'],
  input: z.object({}),
  output: z.object({ images: z.array(ExecutionEnvironment.pick({ image: true, digest: true })) }),
});
/** Superusers: the default of jobs that name no execution environment. */
export const MakeDefaultExecutionEnvironment = command('registry.execution_environment.make_default', {
  callers: ['gateway'],
  input: z.object({ id: Id }),
  output: z.object({}),
});

/**
 * How the digest of a job's image is known:
 * `pinned` the reference names it; `resolved` its registry said so at this launch; `known` its registry is away, this is what it said
 * last; `local` only the engine that has the image can tell (it is never pulled, or its registry is away and never told).
 */
export const resolutions = ['pinned', 'resolved', 'known', 'local'] as const;
/** The image of a job: which, and why this one. Recorded on the job. */
export const ResolvedImage = z.object({
  id: Id,
  name: z.string(),
  image: z.string(),
  pull: z.enum(pullPolicies),
  credentialId: Id.nullish(),
  /** Whose execution environment it is, and so whose its credential must be; null for a global one. */
  organizationId: Id.nullish(),
  /** Null only for `local`. */
  digest: z.string().nullable(),
  /** "the job template names it", "the default of this installation"; and what there is to say about its digest. */
  reason: z.string(),
  from: z.enum(eeSources),
  resolution: z.enum(resolutions),
  /** The registry's own, when it could not be asked. */
  words: z.string().nullish(),
  /** What the last job was given, when the tag means something else by now. */
  previousDigest: z.string().nullish(),
});
/** The image of a job: which, and why this one. */
export type ResolvedImage = z.output<typeof ResolvedImage>;
/**
 * Which image shall this job run, and why? The first candidate decides; without one the default of this installation, without that the
 * first global execution environment by name. Contacts the image's registry only for the image of this very job.
 * Errors: not_found, forbidden, refused with reason no_default, image_not_found, registry_unauthorized, registry_untrusted,
 * registry_rejected, registry_unreachable, registry_rate_limited, wrong_platform (and the registry's words), or what the vault says of
 * the credential.
 */
export const ResolveExecutionEnvironment = command('registry.execution_environment.resolve', {
  callers: ['launcher'],
  principal: true,
  timeoutMilliseconds: 30_000,
  input: z.object({
    candidates: z.array(EeCandidate).max(10),
    organizationId: Id,
    /** Nothing runs on the answer: it is not remembered as what the last job was given. */
    onlyLook: z.boolean().nullish(),
  }),
  output: ResolvedImage,
});
/**
 * Can this very image still be had, and may this person's job run in its execution environment? With `ask` its registry is asked: `yes`,
 * `gone` (the registry does not have it) or `unknown` (it does not answer, or not to us); without, always `unknown`. `credentialId`: the
 * registry's login of the execution environment as it is now. Errors: not_found (the execution environment is gone), forbidden.
 */
export const CheckImage = command('registry.image.check', {
  callers: ['launcher'],
  principal: true,
  timeoutMilliseconds: 30_000,
  input: z.object({
    candidate: EeCandidate,
    organizationId: Id,
    image: z.string(),
    digest: z.string(),
    ask: z.boolean(),
  }),
  output: z.object({
    found: z.enum(['yes', 'gone', 'unknown']),
    words: z.string(),
    credentialId: Id.nullable(),
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
  CreateExecutionEnvironment,
  ChangeExecutionEnvironment,
  DeleteExecutionEnvironment,
  ListExecutionEnvironmentUsers,
  ListExecutionEnvironments,
  ListDigestHistory,
  LookUpDigest,
  ListCurrentImages,
  MakeDefaultExecutionEnvironment,
  ResolveExecutionEnvironment,
  CheckImage,
  NoteDigest,
] as const;
