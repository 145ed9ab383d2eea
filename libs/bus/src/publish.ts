/** Publishing events: used by the relay of a log and by nothing else. */
import type { EventEnvelope, StoredEvent } from '@gantry/contracts/envelope';
import { PlatformError } from '@gantry/contracts/errors';
import { eventSubject, headers as names, streamNames } from '@gantry/contracts/subjects';
import { JetStreamApiError, jetstream } from '@nats-io/jetstream';
import { headers, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';
import { fromNats } from './connect.js';

/** Publishes stored events. */
export interface EventPublisher {
  /**
   * Resolves when JetStream has the event; the same event id within 10 minutes is kept once. Waits while too many are
   * under way. Throws `unavailable` when there is no answer, `forbidden` for an event of another service.
   */
  publish(event: StoredEvent): Promise<void>;
}

/** A publisher with at most `window` publications under way (256 when left out). */
export const createPublisher = (
  nc: NatsConnection,
  { window = 256 }: { window?: number } = {},
): EventPublisher => {
  const stream = jetstream(nc);
  const waiting: (() => void)[] = [];
  let underWay = 0;
  const enter = async (): Promise<void> => {
    if (underWay >= window) await new Promise<void>((resolve) => waiting.push(resolve));
    underWay += 1;
  };
  const leave = (): void => {
    underWay -= 1;
    waiting.shift()?.();
  };
  return {
    publish: async (event) => {
      await enter();
      const subject = eventSubject(event.type, event.stream);
      try {
        await stream.publish(subject, JSON.stringify(envelopeOf(event)), {
          msgID: event.id,
          headers: headersOf(event),
          timeout: 5_000,
          expect: { streamName: streamNames.events },
        });
      } catch (error) {
        if (error instanceof JetStreamApiError) {
          throw new PlatformError(
            'unavailable',
            `JetStream did not take ${event.type} (${event.id}): ${error.message}`,
            { cause: error },
          );
        }
        throw fromNats(error, `publish ${subject}`);
      } finally {
        leave();
      }
    },
  };
};

/** What travels: everything but the hash, which is the log's own affair. */
export const envelopeOf = (event: StoredEvent): EventEnvelope => ({
  id: event.id,
  type: event.type,
  version: event.version,
  stream: event.stream,
  streamVersion: event.streamVersion,
  position: event.position,
  transactionId: event.transactionId,
  at: event.at,
  meta: event.meta,
  data: event.data,
});

const headersOf = (event: StoredEvent): MsgHdrs => {
  const result = headers();
  result.set(names.eventType, event.type);
  result.set(names.eventVersion, String(event.version));
  result.set(names.correlationId, event.meta.correlationId);
  if (event.meta.causationId) result.set(names.causationId, event.meta.causationId);
  if (event.meta.traceparent) result.set(names.traceparent, event.meta.traceparent);
  return result;
};
