/**
 * Durable consumers of events. Delivered at least once, so handlers must be idempotent; events of one stream are handled
 * one after the other, in order of arrival (a message that comes again comes out of order); different streams side by side.
 *
 * A message: delivered -> handled -> settled by `settle` (settlement.ts): acknowledged, or delivered again later, or put
 * into `gantry.dlq.<service>` with the reason and then acknowledged. While it is handled, the server is told every 3 s
 * that somebody works on it. Whoever dies without a word: delivered again after 10 s.
 */
import type { ServiceName } from '@gantry/contracts/command';
import { EventEnvelope } from '@gantry/contracts/envelope';
import { PlatformError, asPlatformError, errorTreatments } from '@gantry/contracts/errors';
import { deadLetterSubject, headers as names, streamNames } from '@gantry/contracts/subjects';
import {
  AckPolicy,
  DeliverPolicy,
  ReplayPolicy,
  jetstream,
  jetstreamManager,
  type ConsumerMessages,
  type JsMsg,
} from '@nats-io/jetstream';
import { headers, nanos, type NatsConnection } from '@nats-io/transport-node';
import { fromNats } from './connect.js';
import { settle } from './settlement.js';

/** What a consumer needs of a logger: pino's child satisfies it. */
export interface ConsumeLogger {
  debug(context: object, message: string): void;
  info(context: object, message: string): void;
  warn(context: object, message: string): void;
  error(context: object, message: string): void;
}

/** What to consume, and how. */
export interface ConsumeSettings {
  nc: NatsConnection;
  service: ServiceName;
  /** What for, kebab-case: the durable consumer is `<service>-<purpose>`; a new purpose starts from the oldest event kept. */
  purpose: string;
  /** Event types wanted, whole (`record.sealed`). Several nouns make a consumer each, `<service>-<purpose>-<noun>`. */
  types: readonly string[];
  /** Carries out one event. What it throws decides what becomes of the message. */
  handle(envelope: EventEnvelope): Promise<void>;
  logger: ConsumeLogger;
  /** Ends the consumer: nothing new is taken, what is under way is finished. */
  signal: AbortSignal;
  /** Streams handled side by side; 16 when left out. */
  concurrency?: number;
}

const ackWaitMilliseconds = 10_000;
const workingMilliseconds = 3_000;
const retryMilliseconds = 500;

/** Consumes until `signal` fires; resolves when everything under way is settled. Rides out a NATS that is away; never rejects. */
export const consume = async (settings: ConsumeSettings): Promise<void> => {
  const nouns = [...new Set(settings.types.map((type) => type.split('.')[0]!))];
  await Promise.all(
    nouns.map((noun) =>
      follow(
        settings,
        `${settings.service}-${settings.purpose}${nouns.length > 1 ? `-${noun}` : ''}`,
        `gantry.evt.${noun}.>`,
      ),
    ),
  );
};

/** Keeps one durable consumer going. */
const follow = async (settings: ConsumeSettings, durable: string, filter: string): Promise<void> => {
  const { nc, signal, logger } = settings;
  const lanes = createLanes(settings.concurrency ?? 16);
  while (!signal.aborted) {
    let messages: ConsumerMessages | null = null;
    const stop = (): void => void messages?.stop();
    try {
      const manager = await jetstreamManager(nc, { checkAPI: false });
      await manager.consumers.add(streamNames.events, {
        durable_name: durable,
        filter_subject: filter,
        ack_policy: AckPolicy.Explicit,
        ack_wait: nanos(ackWaitMilliseconds),
        deliver_policy: DeliverPolicy.All,
        replay_policy: ReplayPolicy.Instant,
        max_deliver: -1,
        max_ack_pending: 256,
      });
      const consumer = await jetstream(nc).consumers.get(streamNames.events, durable);
      messages = await consumer.consume({ max_messages: 32, abort_on_missing_resource: true });
      signal.addEventListener('abort', stop, { once: true });
      if (signal.aborted) stop();
      for await (const message of messages) {
        const working = setInterval(() => message.working(), workingMilliseconds);
        await lanes.enter(streamOf(message), () =>
          handleOne(settings, durable, message).finally(() => clearInterval(working)),
        );
      }
    } catch (error) {
      if (!signal.aborted)
        logger.warn(
          { consumer: durable, err: fromNats(error, `consume ${filter}`) },
          'consumer interrupted, trying again',
        );
    } finally {
      signal.removeEventListener('abort', stop);
      stop();
    }
    if (!signal.aborted) await pause(retryMilliseconds, signal);
  }
  await lanes.idle();
};

/** The stream's id is the subject's last token. */
const streamOf = (message: JsMsg): string => message.subject.slice(message.subject.lastIndexOf('.') + 1);

const handleOne = async (settings: ConsumeSettings, consumer: string, message: JsMsg): Promise<void> => {
  const place = { consumer, subject: message.subject, deliveries: message.info.deliveryCount };
  try {
    const envelope = readEnvelope(message);
    if (settings.types.includes(envelope.type)) await settings.handle(envelope);
    message.ack();
  } catch (thrown) {
    await settleFailure(settings, message, thrown, place);
  }
};

const settleFailure = async (
  settings: ConsumeSettings,
  message: JsMsg,
  thrown: unknown,
  place: { deliveries: number },
): Promise<void> => {
  const { logger } = settings;
  const error = asPlatformError(thrown);
  const outcome = settle(error, place.deliveries);
  logger[errorTreatments[error.code].log](
    { ...place, outcome: outcome.kind, err: error },
    'event not handled',
  );
  if (outcome.kind === 'ack') return message.ack();
  if (outcome.kind === 'again') return message.nak(outcome.delayMilliseconds);
  try {
    await deadLetter(settings, message, outcome.reason);
    message.term(outcome.reason.slice(0, 200));
  } catch (failure) {
    logger.error({ ...place, err: failure }, 'dead letter not written, the event will come again');
    message.nak(5_000);
  }
};

const deadLetter = async (
  { nc, service, purpose }: ConsumeSettings,
  message: JsMsg,
  reason: string,
): Promise<void> => {
  const header = headers();
  header.set(names.messageId, `${service}-${purpose}-${message.seq}`);
  header.set('Gantry-Dead-Reason', oneLine(reason));
  header.set('Gantry-Dead-Subject', message.subject);
  header.set('Gantry-Dead-Consumer', `${service}-${purpose}`);
  header.set('Gantry-Dead-Deliveries', String(message.info.deliveryCount));
  await jetstream(nc).publish(deadLetterSubject(service), message.data, { headers: header, timeout: 5_000 });
};

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').slice(0, 1_000);

const readEnvelope = (message: JsMsg): EventEnvelope => {
  let raw: unknown;
  try {
    raw = message.json();
  } catch {
    throw new PlatformError('invalid', `${message.subject}: the message is not JSON.`);
  }
  const envelope = EventEnvelope.safeParse(raw);
  if (!envelope.success)
    throw new PlatformError('invalid', `${message.subject}: the message is not an event.`, {
      cause: envelope.error,
    });
  return envelope.data;
};

interface Lanes {
  /** Resolves when the work was taken on, not when it is done: the caller may fetch the next message. */
  enter(key: string, work: () => Promise<void>): Promise<void>;
  idle(): Promise<void>;
}

/** One thing at a time per key, `width` keys at a time. */
const createLanes = (width: number): Lanes => {
  const tails = new Map<string, Promise<void>>();
  let underWay = 0;
  const waiting: (() => void)[] = [];
  return {
    enter: async (key, work) => {
      if (underWay >= width) await new Promise<void>((resolve) => waiting.push(resolve));
      underWay += 1;
      const tail = (tails.get(key) ?? Promise.resolve()).then(work).finally(() => {
        underWay -= 1;
        if (tails.get(key) === tail) tails.delete(key);
        waiting.shift()?.();
      });
      tails.set(key, tail);
    },
    idle: async () => {
      while (tails.size > 0) await Promise.allSettled(tails.values());
    },
  };
};

const pause = (milliseconds: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener('abort', done, { once: true });
  });
