/**
 * Launcher: images on the engine, apart from jobs: fetched before they are needed, and removed when nothing needs them.
 * Streams `image_pull-<id>` and `image_prune-<id>`. docs/adr/0026.
 */
import { z } from 'zod';
import { command, Id, IdempotencyKey } from './command.js';
import { event } from './envelope.js';
import { PinnedImage, PullProgress, Reason } from './job.js';

const By = z.object({ userId: Id, username: z.string() });
const pullId = z.object({ pullId: Id });

/** Somebody wants the image of an execution environment to be there: this digest of it. */
export const ImagePullRequested = event(
  'image_pull.requested',
  1,
  pullId.extend({
    image: PinnedImage.pick({
      executionEnvironmentId: true,
      name: true,
      image: true,
      digest: true,
      pull: true,
      credentialId: true,
      organizationId: true,
    }),
    by: By,
  }),
);
/** How far it is; as rare as on a job. */
export const ImagePullProgressed = event(
  'image_pull.progressed',
  1,
  pullId.extend({ progress: PullProgress }),
);
/** Attempt number `attempt` failed for a reason that may pass; the next one begins after the pause. */
export const ImagePullRetried = event(
  'image_pull.retried',
  1,
  pullId.extend({ attempt: z.number().int(), reason: Reason, pauseMilliseconds: z.number() }),
);
/** It is there: pulled, or found. */
export const ImagePullFinished = event(
  'image_pull.finished',
  1,
  pullId.extend({
    image: z.string(),
    digest: z.string(),
    pulled: z.boolean(),
    attempts: z.number().int(),
    durationMilliseconds: z.number(),
    sizeBytes: z.number().nullable(),
  }),
);
/** It cannot be had. */
export const ImagePullFailed = event('image_pull.failed', 1, pullId.extend({ reason: Reason }));

/** An image that a clean-up looked at. `words`: the engine's, when it did not let it go. */
export const PrunedImage = z.object({
  /** Without tag: `quay.io/ansible/awx-ee`. */
  repository: z.string(),
  digest: z.string(),
  sizeBytes: z.number().nullable(),
  lastUsedAt: z.string(),
  /** `gone`: the engine did not have it any more. `in_use`: a container uses it. */
  outcome: z.enum(['removed', 'gone', 'in_use', 'would_be_removed']),
  words: z.string().nullable(),
});
/** An image that a clean-up looked at. */
export type PrunedImage = z.output<typeof PrunedImage>;
/** Images were removed from the engine; `by` is null when the rule did it by itself. */
export const ImagePruneFinished = event(
  'image_prune.finished',
  1,
  z.object({ pruneId: Id, by: By.nullable(), keepDays: z.number(), images: z.array(PrunedImage) }),
);
/** Events of images on the engine. */
export const pullEvents = {
  ImagePullRequested,
  ImagePullProgressed,
  ImagePullRetried,
  ImagePullFinished,
  ImagePullFailed,
  ImagePruneFinished,
};

/** What becomes of a pull. */
export const pullStatuses = ['running', 'pulled', 'cached', 'failed'] as const;
/** A pull, as queries give it. */
export const ImagePull = z.object({
  id: Id,
  executionEnvironmentId: Id,
  organizationId: Id.nullable(),
  image: z.string(),
  /** Null until it is known. */
  digest: z.string().nullable(),
  status: z.enum(pullStatuses),
  progress: PullProgress.nullable(),
  /** Why it failed, or is tried again. */
  reason: Reason.nullable(),
  requestedBy: z.string(),
  requestedAt: z.string(),
  finishedAt: z.string().nullable(),
  durationMilliseconds: z.number().nullable(),
  sizeBytes: z.number().nullable(),
});
/** A pull, as queries give it. */
export type ImagePull = z.output<typeof ImagePull>;

/**
 * Has the image of an execution environment pulled to where pods run, for who may use it; answers at once, `GetImagePull` tells how it
 * goes. One that is under way for the same digest is joined. Errors: not_found, forbidden, refused with the registry's words.
 */
export const PullExecutionEnvironment = command('launcher.image.pull', {
  callers: ['gateway'],
  timeoutMilliseconds: 35_000,
  input: z.object({ executionEnvironmentId: Id, idempotencyKey: IdempotencyKey.nullish() }),
  output: z.object({ pullId: Id, created: z.boolean() }),
});
/** Errors: not_found, also for one that is not theirs to see. */
export const GetImagePull = command('launcher.image.get_pull', {
  callers: ['gateway'],
  input: z.object({ pullId: Id }),
  output: ImagePull,
});
/**
 * Superusers: removes images that Gantry pulled, that no execution environment means and no job needs, and that nobody has used for
 * `keepDays` days; `dryRun` says which these are.
 */
export const PruneImages = command('launcher.image.prune', {
  callers: ['gateway'],
  timeoutMilliseconds: 120_000,
  input: z.object({ keepDays: z.number().min(0).max(3_650), dryRun: z.boolean() }),
  output: z.object({ images: z.array(PrunedImage) }),
});
/** Commands and queries about images on the engine. */
export const pullCommands = [PullExecutionEnvironment, GetImagePull, PruneImages] as const;
