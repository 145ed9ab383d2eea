/** Launcher: the job. Stream `job-<id>`. docs/ARCHITECTURE.md follows one through its events. */
import { z } from 'zod';
import { command, Id, IdempotencyKey, pageOf, PageRequest } from './command.js';
import { eeSources, pullPolicies, resolutions } from './ee.js';
import { event } from './envelope.js';
import { LaunchPrompts, LaunchSnapshot, StoredObject } from './template.js';

/** In Ansible's usual words. `error`: something other than the playbook ended the job; the reason says what. */
export const jobStatuses = [
  'pending',
  'waiting',
  'running',
  'successful',
  'failed',
  'error',
  'canceled',
] as const;
/** Where a job is in its life. */
export type JobStatus = (typeof jobStatuses)[number];
/** The statuses a job ends with. */
export const finalStatuses = ['successful', 'failed', 'error', 'canceled'] as const;
/** How a job ended. */
export type FinalStatus = (typeof finalStatuses)[number];
/** Is the job over? */
export const isFinal = (status: JobStatus): status is FinalStatus =>
  (finalStatuses as readonly string[]).includes(status);

/** What started a job. */
export const launchTypes = ['manual', 'relaunch', 'schedule', 'webhook', 'event', 'workflow'] as const;

/** Why something ended: a short code for programs, a sentence for people. */
export const Reason = z.object({ code: z.string(), message: z.string() });
/** Why something waits or ended. */
export type Reason = z.output<typeof Reason>;

const Launcher = z.object({ userId: z.string(), username: z.string() });
const jobId = z.object({ jobId: Id });

/** How a past job is run again: exactly what it ran on, or the template as it is now with the past job's prompts. */
export const relaunchModes = ['exact', 'current'] as const;
/** On which hosts a past job is run again: as it was, or those that failed or could not be reached. */
export const relaunchHosts = ['all', 'failed'] as const;
/** Which job this one repeats, and how. */
export const RelaunchOf = z.object({
  jobId: Id,
  mode: z.enum(relaunchModes),
  hosts: z.enum(relaunchHosts),
});
/** A limit of so many named hosts at most; their names are at most 512 KiB together. */
export const MAX_LIMIT_HOSTS = 10_000;

/** Somebody launched it: what it shall run, with the prompts as given. The job is accepted. */
export const JobRequested = event(
  'job.requested',
  1,
  jobId.extend({
    snapshot: LaunchSnapshot,
    prompts: LaunchPrompts,
    launchType: z.enum(launchTypes),
    launchedBy: Launcher,
    idempotencyKey: z.string().nullable(),
    /** The job that it follows from; left out by a launch of its own. */
    parentJobId: Id.nullish(),
    relaunchOf: RelaunchOf.nullish(),
    /** Exactly these hosts, in place of the snapshot's limit. */
    limitHosts: z.array(z.string()).max(MAX_LIMIT_HOSTS).nullish(),
  }),
);
/** The image of a job and why it is this one: `ResolvedImage` of the registry says what the fields mean. */
export const PinnedImage = z.object({
  executionEnvironmentId: Id,
  name: z.string(),
  image: z.string(),
  /** sha256:...; null only while an image that must be pulled by tag has not been. */
  digest: z.string().nullable(),
  pull: z.enum(pullPolicies),
  credentialId: Id.nullish(),
  /** Whose execution environment it is; null for a global one. */
  organizationId: Id.nullish(),
  reason: z.string(),
  // Not told by jobs that were pinned before 2026-11.
  from: z.enum(eeSources).nullish(),
  resolution: z.enum(resolutions).nullish(),
  words: z.string().nullish(),
  previousDigest: z.string().nullish(),
});
/** What the project's commit says of the collections it wants: the file, and the hash of its content. Ansible's own form, docs/RELAUNCH.md. */
export const CollectionsLock = z.object({ file: z.string(), sha256: z.string() });
/** What the project's commit says of the collections it wants. */
export type CollectionsLock = z.output<typeof CollectionsLock>;
/** Everything it depends on is fixed. */
export const JobPinned = event(
  'job.pinned',
  1,
  jobId.extend({
    image: PinnedImage,
    project: z.object({ projectId: Id, branch: z.string(), commit: z.string(), archive: StoredObject }),
    inventory: z.object({ inventoryId: Id, object: StoredObject, totalHosts: z.number().int() }),
    credentials: z.array(
      z.object({ id: Id, version: z.number().int(), name: z.string(), credentialType: z.string() }),
    ),
    /** null: the project's commit has no such file. Left out: nobody looked. */
    collectionsLock: CollectionsLock.nullish(),
  }),
);
/** Waiting, and for what. Appended again when what it waits for changes. */
export const JobQueued = event('job.queued', 1, jobId.extend({ reason: Reason }));
/** Its turn: attempt `epoch` begins. */
export const JobDispatched = event(
  'job.dispatched',
  1,
  jobId.extend({ epoch: z.number().int(), instanceGroup: z.string() }),
);
/** The image was not there, or has to be asked for again. */
export const JobImagePullStarted = event('job.image_pull_started', 1, jobId.extend({ image: z.string() }));
/**
 * How far a pull is, as the engine tells it. `bytes` and `bytesTotal` are those of the layers whose size it has told so far, null
 * where it tells none (Podman). Podman counts the image's configuration among the layers.
 */
export const PullProgress = z.object({
  layers: z.number().int(),
  layersDone: z.number().int(),
  bytes: z.number().nullable(),
  bytesTotal: z.number().nullable(),
});
/** How far a pull is. */
export type PullProgress = z.output<typeof PullProgress>;
/** How far the pull is; at most one each two seconds, and the longer it takes, the fewer. */
export const JobImagePullProgressed = event(
  'job.image_pull_progressed',
  1,
  jobId.extend({ image: z.string(), progress: PullProgress }),
);
/** Attempt number `attempt` failed for a reason that may pass; the next one begins after the pause. */
export const JobImagePullRetried = event(
  'job.image_pull_retried',
  1,
  jobId.extend({
    image: z.string(),
    attempt: z.number().int(),
    reason: Reason,
    pauseMilliseconds: z.number(),
  }),
);
/** The image has been fetched. */
export const JobImagePulled = event(
  'job.image_pulled',
  1,
  jobId.extend({
    image: z.string(),
    digest: z.string(),
    /** From the first attempt on. */
    durationMilliseconds: z.number(),
    attempts: z.number().int().nullish(),
    /** Of the image on the engine, unpacked. */
    sizeBytes: z.number().nullish(),
  }),
);
/** The image was there. `note`: what there is to say about that (its registry is away). */
export const JobImageCached = event(
  'job.image_cached',
  1,
  jobId.extend({ image: z.string(), digest: z.string(), note: z.string().nullish() }),
);
/** The pod of this attempt exists. */
export const JobPodCreated = event(
  'job.pod_created',
  1,
  jobId.extend({ epoch: z.number().int(), pod: z.string(), driver: z.string() }),
);
/** The agent inside has spoken. */
export const JobPodStarted = event(
  'job.pod_started',
  1,
  jobId.extend({
    epoch: z.number().int(),
    agent: z.object({
      version: z.string(),
      mode: z.string(),
      python: z.string().nullish(),
      ansibleCore: z.string().nullish(),
      ansibleRunner: z.string().nullish(),
    }),
  }),
);
/** The pod has its credentials, sealed to the key with this thumbprint. */
export const JobCredentialsRedeemed = event(
  'job.credentials_redeemed',
  1,
  jobId.extend({ epoch: z.number().int(), thumbprint: z.string() }),
);
/** Somebody tried to redeem this job's credentials who may not. */
export const JobCredentialAlarm = event(
  'job.credential_alarm',
  1,
  jobId.extend({ epoch: z.number().int(), reason: z.string() }),
);
/** The engine's or cluster's own words about a problem that may still pass. */
export const JobPodProblem = event(
  'job.pod_problem',
  1,
  jobId.extend({ epoch: z.number().int(), reason: Reason }),
);
/** Somebody wants it to end. */
export const JobCancelRequested = event(
  'job.cancel_requested',
  1,
  jobId.extend({ by: Launcher, force: z.boolean() }),
);
const Sealed = z.object({
  epoch: z.number().int(),
  /** Number of events. */
  lastCounter: z.number().int(),
  lastLine: z.number().int(),
  /** Head of the hash chain over all events. */
  sha256: z.string(),
  /** What the agent said of the playbook; null when the stream ended without a final message. */
  status: z.enum(finalStatuses).nullable(),
  exitCode: z.number().int().nullable(),
  reason: Reason.nullable(),
  artifacts: z.record(z.string(), z.unknown()),
});
/** Nothing can be added to its record any more. */
export const JobRecordSealed = event('job.record_sealed', 1, jobId.extend(Sealed.shape));
/** The pod and all that was its own are gone; how it ended, in the words of its engine. */
export const JobPodDestroyed = event(
  'job.pod_destroyed',
  1,
  jobId.extend({
    epoch: z.number().int(),
    pod: z.string(),
    exitCode: z.number().int().nullable(),
    oomKilled: z.boolean(),
    detail: z.string(),
  }),
);
/** It is over. Whatever follows from a job follows from this event alone. */
export const JobFinished = event(
  'job.finished',
  1,
  jobId.extend({
    status: z.enum(finalStatuses),
    reason: Reason.nullable(),
    lastCounter: z.number().int(),
    sha256: z.string().nullable(),
    durationMilliseconds: z.number(),
  }),
);

/** Every event in the launcher's log. */
export const jobEvents = {
  JobRequested,
  JobPinned,
  JobQueued,
  JobDispatched,
  JobImagePullStarted,
  JobImagePullProgressed,
  JobImagePullRetried,
  JobImagePulled,
  JobImageCached,
  JobPodCreated,
  JobPodStarted,
  JobCredentialsRedeemed,
  JobCredentialAlarm,
  JobPodProblem,
  JobCancelRequested,
  JobRecordSealed,
  JobPodDestroyed,
  JobFinished,
};

/** A job, as queries give it. */
export const Job = z.object({
  id: Id,
  /** How many events of its stream this shows. */
  version: z.number().int(),
  name: z.string(),
  organizationId: Id,
  jobTemplateId: Id,
  status: z.enum(jobStatuses),
  /** What it waits for, or why it ended. */
  reason: Reason.nullable(),
  launchType: z.enum(launchTypes),
  launchedBy: Launcher,
  cancelRequested: z.boolean(),
  createdAt: z.string(),
  startedAt: z.string().nullable(),
  finishedAt: z.string().nullable(),
  epoch: z.number().int(),
  snapshot: LaunchSnapshot,
  parentJobId: Id.nullish(),
  relaunchOf: RelaunchOf.nullish(),
  /** How many hosts it is limited to by name; null or left out: by the snapshot's limit. */
  limitHosts: z.number().int().nullish(),
  pinned: z
    .object({
      image: PinnedImage,
      project: JobPinned.data.shape.project,
      inventory: JobPinned.data.shape.inventory,
      credentials: JobPinned.data.shape.credentials,
      collectionsLock: JobPinned.data.shape.collectionsLock,
    })
    .nullable(),
  agent: JobPodStarted.data.shape.agent.nullable(),
  record: z
    .object({
      lastCounter: z.number().int(),
      lastLine: z.number().int(),
      sha256: z.string(),
      exitCode: z.number().int().nullable(),
    })
    .nullable(),
  artifacts: z.record(z.string(), z.unknown()),
});
/** A job, as queries give it. */
export type Job = z.output<typeof Job>;

/** One event of the job's stream, as the timeline shows it. */
export const TimelineEntry = z.object({
  version: z.number().int(),
  type: z.string(),
  at: z.string(),
  actor: z.object({ kind: z.string(), id: z.string(), name: z.string() }),
  data: z.record(z.string(), z.unknown()),
});
/** One event of the job's stream. */
export type TimelineEntry = z.output<typeof TimelineEntry>;

/** Errors: not_found, forbidden, invalid (prompts). The job is durably accepted when this answers; the same idempotency key of the same person gives the same job. */
export const LaunchJob = command('launcher.job.launch', {
  callers: ['gateway'],
  input: z.object({
    /** Id or name. */
    jobTemplate: z.string().min(1).max(512),
    idempotencyKey: IdempotencyKey,
    prompts: LaunchPrompts.default({}),
    launchType: z.enum(launchTypes).default('manual'),
  }),
  output: z.object({ jobId: Id, created: z.boolean() }),
});
/** Asks politely; `force` destroys the pod at once. Refused when the job is over. Needs `execute`, or to have launched it. */
export const CancelJob = command('launcher.job.cancel', {
  callers: ['gateway'],
  input: z.object({ jobId: Id, force: z.boolean().default(false) }),
  output: z.object({ status: z.enum(jobStatuses) }),
});
/** Errors: not_found, forbidden. */
export const GetJob = command('launcher.job.get', {
  callers: ['gateway'],
  input: z.object({ jobId: Id }),
  output: Job,
});
/** Newest first. */
export const ListJobs = command('launcher.job.list', {
  callers: ['gateway'],
  input: PageRequest.extend({
    ids: z.array(Id).max(200).nullish(),
    status: z.array(z.enum(jobStatuses)).nullish(),
    jobTemplateId: Id.nullish(),
    parentJobId: Id.nullish(),
  }),
  output: pageOf(Job),
});
/** The job's events after a version, oldest first. Errors: not_found, forbidden. */
export const GetTimeline = command('launcher.job.timeline', {
  callers: ['gateway'],
  input: z.object({ jobId: Id, afterVersion: z.number().int().min(0).default(0) }),
  output: z.object({ entries: z.array(TimelineEntry) }),
});
/** What the launcher answers. */
export const jobCommands = [LaunchJob, CancelJob, GetJob, ListJobs, GetTimeline] as const;
