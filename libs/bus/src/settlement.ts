/** What becomes of a message once its handler is done: decided here and nowhere else, from the table in contracts/errors. */
import { asPlatformError, errorTreatments, type PlatformError } from '@gantry/contracts/errors';

/**
 * ack: done with. again: deliver once more after `delayMilliseconds`. dead: put into the dead letters with `reason`, then done with.
 */
export type Settlement =
  { kind: 'ack' } | { kind: 'again'; delayMilliseconds: number } | { kind: 'dead'; reason: string };

/** A handler that fails for an unknown reason gets this many deliveries in all. */
export const MAX_DEFECT_DELIVERIES = 5;

const longestDelay = 30_000;

/** 0.25 s, 0.5 s, 1 s... at most 30 s, by how often the message was delivered so far. */
const backoff = (deliveries: number): number =>
  Math.min(250 * 2 ** Math.min(deliveries - 1, 10), longestDelay);

/**
 * Settles a handler's error after the message's `deliveries`-th delivery (from 1).
 * `unavailable` comes back until it works: an event is never given up because something else is away.
 */
export const settle = (thrown: unknown, deliveries: number): Settlement => {
  const error = asPlatformError(thrown);
  switch (errorTreatments[error.code].bus) {
    case 'ack':
      return { kind: 'ack' };
    case 'retry':
      return {
        kind: 'again',
        delayMilliseconds: error.code === 'conflict' ? 20 * Math.min(deliveries, 50) : backoff(deliveries),
      };
    case 'terminate':
      return { kind: 'dead', reason: sentence(error) };
    case 'dead-letter':
      if (deliveries < MAX_DEFECT_DELIVERIES)
        return { kind: 'again', delayMilliseconds: backoff(deliveries) };
      return { kind: 'dead', reason: sentence(error) };
  }
};

// A defect's sentence says nothing of its cause, and whoever looks into the dead letters needs it.
const sentence = (error: PlatformError): string => {
  const cause = error.code === 'defect' && error.cause instanceof Error ? ` (${error.cause.message})` : '';
  return `${error.code}: ${error.message}${cause}`;
};
