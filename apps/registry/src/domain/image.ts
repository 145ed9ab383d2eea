/**
 * An image by its digest, and who looks into it. Stream `image-<hex>`.
 *
 *   (unknown) --seen--> none --requested--> requested --inspected--> inspected
 *                                               |--failed--> failed
 *   inspected, failed --requested by a person--> requested
 *   failed because the engine was away --seen again on an engine--> requested
 *
 * An image that an engine has is requested by itself, once. In `requested` nothing more is requested, until an answer is so late
 * that nobody will give it any more. An answer counts in `requested` only: one that comes twice, or for a request that was
 * answered by another launcher, changes nothing.
 */
import { makeEvent, type EventOf, type NewEvent } from '@gantry/contracts/envelope';
import { PlatformError } from '@gantry/contracts/errors';
import {
  ImageInspected,
  ImageInspectionFailed,
  ImageInspectionRequested,
  ImageSeen,
  type ImageContents,
  type imageEvents,
} from '@gantry/contracts/image';
import type { Reason } from '@gantry/contracts/job';

/** What is known of an image; null before it was seen. */
export type ImageState = {
  /** By which reference it was seen last. */
  image: string;
  /** Execution environments that it was seen as, and whether an engine had it then. */
  sightings: { executionEnvironmentId: string; onEngine: boolean }[];
  inspection: 'none' | 'requested' | 'inspected' | 'failed';
  requestedAt: string | null;
  failure: Reason | null;
} | null;

/** An image seen as that of an execution environment. */
export interface Sighting {
  digest: string;
  executionEnvironmentId: string;
  image: string;
  onEngine: boolean;
}

type Event = EventOf<(typeof imageEvents)[keyof typeof imageEvents]>;

/** Longer than an inspection and everything that may hold it up takes. */
const answerMilliseconds = 10 * 60 * 1_000;
/** Failures that say nothing of the image. */
const passing: readonly string[] = ['engine_unavailable', 'image_not_present'];

/** The image after an event. */
export const evolve = (state: ImageState, event: Event): ImageState => {
  if (event.type === 'image.seen') {
    const { executionEnvironmentId, image, onEngine } = event.data;
    const others = (state?.sightings ?? []).filter(
      (sighting) => sighting.executionEnvironmentId !== executionEnvironmentId,
    );
    const before = state ?? { inspection: 'none' as const, requestedAt: null, failure: null };
    return { ...before, image, sightings: [...others, { executionEnvironmentId, onEngine }] };
  }
  if (state === null) return null;
  switch (event.type) {
    case 'image.inspection_requested':
      return { ...state, inspection: 'requested', requestedAt: event.data.requestedAt };
    case 'image.inspected':
      return { ...state, inspection: 'inspected', failure: null };
    case 'image.inspection_failed':
      return { ...state, inspection: 'failed', failure: event.data.reason };
  }
};

/** What a decision is made with. */
export interface Moment {
  /** ISO 8601. */
  now: string;
  /** For at most two events. */
  ids: readonly [string, string];
}

/** The image was seen: nothing when that is known. On an engine, and nobody has looked into it: asked for. */
export const see = (state: ImageState, { onEngine, ...data }: Sighting, { now, ids }: Moment): NewEvent[] => {
  const known = state?.sightings.find((one) => one.executionEnvironmentId === data.executionEnvironmentId);
  const news = !known || (onEngine && !known.onEngine);
  const events: NewEvent[] = news ? [makeEvent(ImageSeen, ids[0], { ...data, onEngine })] : [];
  const unlooked =
    !state ||
    state.inspection === 'none' ||
    (state.inspection === 'failed' && passing.includes(state.failure!.code)) ||
    isOverdue(state, now);
  if (onEngine && unlooked) events.push(request(data.digest, data.image, 'first_sight', now, ids[1]));
  return events;
};

/** A person wants to know. Throws `not_found`. */
export const inspect = (state: ImageState, digest: string, { now, ids }: Moment): NewEvent[] => {
  if (state === null) throw noSuchImage(digest);
  if (state.inspection === 'requested' && !isOverdue(state, now)) return [];
  return [request(digest, state.image, 'person', now, ids[0])];
};

/** The launcher has looked. Throws `not_found`. */
export const noteContents = (
  state: ImageState,
  digest: string,
  contents: ImageContents,
  eventId: string,
): NewEvent[] => {
  if (state === null) throw noSuchImage(digest);
  return state.inspection === 'requested' ? [makeEvent(ImageInspected, eventId, { digest, contents })] : [];
};

/** The launcher could not look. Throws `not_found`. */
export const noteFailure = (
  state: ImageState,
  digest: string,
  reason: Reason,
  eventId: string,
): NewEvent[] => {
  if (state === null) throw noSuchImage(digest);
  return state.inspection === 'requested'
    ? [makeEvent(ImageInspectionFailed, eventId, { digest, reason })]
    : [];
};

/** `not_found`, for one that was never seen, or is of no execution environment that is theirs to see. */
export const noSuchImage = (digest: string): PlatformError =>
  new PlatformError(
    'not_found',
    `No execution environment that you may see has or had the image ${digest}. An image is known once a job has run in it or its tag was resolved.`,
    { details: { digest } },
  );

const request = (
  digest: string,
  image: string,
  cause: 'first_sight' | 'person',
  requestedAt: string,
  eventId: string,
): NewEvent => makeEvent(ImageInspectionRequested, eventId, { digest, image, cause, requestedAt });

const isOverdue = (state: NonNullable<ImageState>, now: string): boolean =>
  state.inspection === 'requested' && Date.parse(now) - Date.parse(state.requestedAt!) > answerMilliseconds;
