/** Images: seen, looked into, compared. */
import { authorize, type Principal } from '@gantry/contracts/access';
import type { OutputOf, ReceivedBy } from '@gantry/contracts/command';
import type { NewEvent } from '@gantry/contracts/envelope';
import { PlatformError } from '@gantry/contracts/errors';
import {
  imageEvents,
  type CompareImages,
  type GetImageContents,
  type Image,
  type InspectImage,
  type NoteImageContents,
  type NoteInspectionFailure,
} from '@gantry/contracts/image';
import { decideAndAppend } from '@gantry/service/aggregate';
import { newId, type CallContext } from '@gantry/service/context';
import { differenceOf } from './domain/image-contents.js';
import {
  evolve,
  inspect,
  noSuchImage,
  noteContents,
  noteFailure,
  see,
  type ImageState,
  type Moment,
  type Sighting,
} from './domain/image.js';
import { describeImages, readContents } from './image.projection.js';
import type { Registry } from './registry.js';

const decide = async (
  { log }: Registry,
  digest: string,
  context: CallContext,
  decision: (state: ImageState) => NewEvent[],
): Promise<void> => {
  await decideAndAppend({
    log,
    stream: `image-${digest.slice(digest.indexOf(':') + 1)}`,
    initial: null as ImageState,
    evolve,
    catalogue: imageEvents,
    decide: decision,
    meta: context.meta(),
  });
};

const moment = (): Moment => ({ now: new Date().toISOString(), ids: [newId(), newId()] });

/** An execution environment is this image, said by a registry or by an engine that has it. */
export const seeImage = async (
  registry: Registry,
  sighting: Sighting,
  context: CallContext,
): Promise<Record<string, never>> => {
  const at = moment();
  await decide(registry, sighting.digest, context, (state) => see(state, sighting, at));
  return {};
};

/** A person has it looked into. */
export const inspectImage = async (
  registry: Registry,
  { digest }: ReceivedBy<typeof InspectImage>,
  context: CallContext,
): Promise<OutputOf<typeof InspectImage>> => {
  const image = await authorizeOn(registry, digest, context.principal as Principal);
  const at = moment();
  // A digest that was resolved before this service noted images has no stream yet.
  const [executionEnvironmentId] = image.executionEnvironmentIds as [string];
  const sighting = { digest, executionEnvironmentId, image: image.references.at(-1)!, onEngine: false };
  await seeImage(registry, sighting, context);
  await decide(registry, digest, context, (state) => inspect(state, digest, at));
  return {};
};

/** It runs a pod: who may use one of the image's execution environments in a job may do that. */
const authorizeOn = async (registry: Registry, digest: string, principal: Principal): Promise<Image> => {
  const [image] = await describeImages(registry, [digest], principal);
  if (!image) throw noSuchImage(digest);
  const { rows } = await registry.pool.query<{ organization_id: string | null }>(
    `select distinct organization_id from ${registry.schema}.execution_environment where id = any($1::uuid[])`,
    [image.executionEnvironmentIds],
  );
  const refusals = rows.flatMap(({ organization_id }) => {
    try {
      authorize(principal, 'use', organization_id, 'the execution environments of this image');
      return [];
    } catch (error) {
      return [error];
    }
  });
  if (refusals.length === rows.length) throw refusals[0];
  return image;
};

/** What the launcher found in it. */
export const noteImageContents = async (
  registry: Registry,
  { digest, contents }: ReceivedBy<typeof NoteImageContents>,
  context: CallContext,
): Promise<OutputOf<typeof NoteImageContents>> => {
  const id = newId();
  await decide(registry, digest, context, (state) => noteContents(state, digest, contents, id));
  return {};
};

/** Why it could not look. */
export const noteInspectionFailure = async (
  registry: Registry,
  { digest, reason }: ReceivedBy<typeof NoteInspectionFailure>,
  context: CallContext,
): Promise<OutputOf<typeof NoteInspectionFailure>> => {
  const id = newId();
  await decide(registry, digest, context, (state) => noteFailure(state, digest, reason, id));
  return {};
};

/** Everything in an image that the person may see. Throws `not_found`; `refused` when nobody has looked into it. */
export const getImageContents = async (
  registry: Registry,
  digest: string,
  principal: Principal,
): Promise<OutputOf<typeof GetImageContents>> => {
  const [image] = await describeImages(registry, [digest], principal);
  if (!image) throw noSuchImage(digest);
  const known = await readContents(registry, digest);
  if (known) return { digest, ...known };
  const why = {
    none: 'no engine of this installation has it: pull it, or launch a job in it',
    requested: 'it is being looked into: ask again in a moment',
    failed: `that failed: ${image.failure?.message ?? ''} Ask for it again with inspectImage (gantry ee inspect)`,
    inspected: 'they are not there',
  }[image.inspection];
  throw new PlatformError('refused', `The contents of ${digest} are not known yet; ${why}.`, {
    details: { reason: 'not_inspected', digest },
  });
};

/** How two images differ. Throws as `getImageContents`. */
export const compareImages = async (
  registry: Registry,
  { from, to }: ReceivedBy<typeof CompareImages>,
  principal: Principal,
): Promise<OutputOf<typeof CompareImages>> => {
  const [before, after] = await Promise.all(
    [from, to].map((digest) => getImageContents(registry, digest, principal)),
  );
  return differenceOf(before!.contents, after!.contents);
};
