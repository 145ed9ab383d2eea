import { isPlatformError } from '@gantry/contracts/errors';
import {
  GetImagePull,
  PruneImages,
  PullExecutionEnvironment,
  type ImagePull,
  type PrunedImage,
} from '@gantry/contracts/pull';
import { toEnum } from './connection.js';
import type { GraphqlContext } from './context.js';
import { refusal } from './ee.resolver.js';

type Context = GraphqlContext;

/** Images on the engine: pulled before a job needs them, removed when nothing does. */
export const pullResolvers = {
  Query: {
    imagePull: (_: unknown, { id }: { id: string }, { call }: Context) =>
      call(GetImagePull, { pullId: id }).catch((error: unknown) => {
        if (isPlatformError(error) && error.code === 'not_found') return null;
        throw error;
      }),
  },
  Mutation: {
    pullExecutionEnvironment: (
      _: unknown,
      { input }: { input: { id: string; idempotencyKey?: string | null } },
      { call }: Context,
    ) =>
      call(PullExecutionEnvironment, {
        executionEnvironmentId: input.id,
        idempotencyKey: input.idempotencyKey,
      })
        .then(async ({ pullId, created }) => ({
          __typename: 'StartedImagePull',
          pull: await call(GetImagePull, { pullId }),
          created,
        }))
        .catch(refusal),
    pruneImages: (
      _: unknown,
      { input }: { input: { keepDays: number; dryRun: boolean } },
      { call }: Context,
    ) =>
      call(PruneImages, input)
        .then(({ images }) => ({ __typename: 'PrunedImages', images }))
        .catch(refusal),
  },
  ImagePull: {
    executionEnvironment: (pull: ImagePull, _: unknown, { load }: Context) =>
      load.executionEnvironment.load(pull.executionEnvironmentId),
    status: (pull: ImagePull) => toEnum(pull.status),
  },
  PrunedImage: { outcome: (image: PrunedImage) => toEnum(image.outcome) },
};
