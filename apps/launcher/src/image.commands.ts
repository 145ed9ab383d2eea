/** Images on the engine, on people's behalf: pulled before a job needs them, and removed when nothing does. docs/adr/0026. */
import { can, type Principal } from '@gantry/contracts/access';
import type { OutputOf, ReceivedBy } from '@gantry/contracts/command';
import { ListCurrentImages, LookUpDigest } from '@gantry/contracts/ee';
import { makeEvent } from '@gantry/contracts/envelope';
import { asPlatformError, PlatformError } from '@gantry/contracts/errors';
import {
  ImagePruneFinished,
  type GetImagePull,
  type PrunedImage,
  type PruneImages,
  type PullExecutionEnvironment,
} from '@gantry/contracts/pull';
import { newId, type CallContext } from '@gantry/service/context';
import { once } from '@gantry/service/idempotency';
import type pg from 'pg';
import { decidePull, noPull, type PullCommand } from './domain/image-pull.js';
import { mayGo, type EngineImage } from './domain/prune.js';
import { repositoryOf } from './domain/pull.js';
import { newPullEvent, type PullParts, type Pulls } from './image.pulls.js';

/** What these commands work with. */
export interface ImageCommandParts extends PullParts {
  pool: pg.Pool;
  pulls: Pulls;
}

/** The registry says whether this person may, and what the image means now; its words are passed on. */
export const pullImage = async (
  parts: ImageCommandParts,
  { executionEnvironmentId, idempotencyKey }: ReceivedBy<typeof PullExecutionEnvironment>,
  context: CallContext,
): Promise<OutputOf<typeof PullExecutionEnvironment>> => {
  const { kit, log, images, pulls } = parts;
  const { userId, username } = context.principal as Principal;
  const eeId = executionEnvironmentId.toLowerCase();
  const { platforms: _, ...found } = await kit.call(LookUpDigest, { id: eeId }, context);
  const other = await images.underWay(eeId, found.digest);
  if (other !== null) return { pullId: other, created: false };
  const { id, created } = await once(
    parts,
    { scope: `image.pull:${userId}`, key: idempotencyKey },
    async (sql, pullId) => {
      const command: PullCommand = {
        kind: 'request',
        data: { pullId, image: { executionEnvironmentId: eeId, ...found }, by: { userId, username } },
      };
      const events = decidePull(noPull, command).map((event) => newPullEvent(event, newId()));
      await log.appendIn(sql, `image_pull-${pullId}`, 0, events, context.meta());
    },
  );
  pulls.wake(id);
  return { pullId: id, created };
};

/** How a pull goes. */
export const getPull = async (
  { images }: Pick<ImageCommandParts, 'images'>,
  { pullId }: ReceivedBy<typeof GetImagePull>,
  context: CallContext,
): Promise<OutputOf<typeof GetImagePull>> => {
  const pull = await images.pull(pullId.toLowerCase());
  if (pull && can(context.principal as Principal, 'read', pull.organizationId)) return pull;
  throw new PlatformError('not_found', `There is no pull ${pullId}, or it is not yours to see.`);
};

/** For superusers. */
export const pruneImages = async (
  parts: ImageCommandParts,
  input: ReceivedBy<typeof PruneImages>,
  context: CallContext,
): Promise<OutputOf<typeof PruneImages>> => {
  const { superuser, userId, username } = context.principal as Principal;
  if (!superuser)
    throw new PlatformError('forbidden', `${username} may not remove images: that is for superusers.`);
  return { images: await prune(parts, { ...input, by: { userId, username } }, context) };
};

/** Removes what nothing needs, and says so in the log; with `dryRun` it only tells. */
export const prune = async (
  parts: Omit<ImageCommandParts, 'pulls' | 'pool'>,
  {
    keepDays,
    dryRun,
    by,
  }: { keepDays: number; dryRun: boolean; by: { userId: string; username: string } | null },
  context: CallContext,
): Promise<PrunedImage[]> => {
  const { kit, images, log } = parts;
  const pulled = await images.pulled();
  if (pulled.length === 0) return [];
  // Jobs first: one that is pinned after this gets what its execution environment means now, which is asked next.
  const jobs = await images.neededByJobs();
  const current = (await kit.call(ListCurrentImages, {}, context)).images.map(({ image, digest }) => ({
    repository: repositoryOf(image),
    digest,
  }));
  const pruned: PrunedImage[] = [];
  for (const image of mayGo(pulled, { current, jobs }, keepDays, Date.now()))
    pruned.push(dryRun ? { ...image, outcome: 'would_be_removed', words: null } : await remove(parts, image));
  if (pruned.some(({ outcome }) => outcome === 'removed' || outcome === 'gone')) {
    const pruneId = newId();
    const event = makeEvent(ImagePruneFinished, newId(), { pruneId, by, keepDays, images: pruned });
    await log.append(`image_prune-${pruneId}`, 0, [event], context.meta());
  }
  return pruned;
};

const remove = async (
  { pods, kit }: Pick<PullParts, 'pods' | 'kit'>,
  image: EngineImage,
): Promise<PrunedImage> => {
  const reference = `${image.repository}@${image.digest}`;
  try {
    const outcome = await pods.removeImage(reference);
    kit.logger.info({ image: reference, outcome }, 'an image that nothing needs was removed');
    return { ...image, outcome, words: null };
  } catch (error) {
    const { code, message } = asPlatformError(error);
    if (code !== 'refused') throw error;
    return { ...image, outcome: 'in_use', words: message };
  }
};
