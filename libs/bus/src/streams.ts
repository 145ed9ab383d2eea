/** JetStream streams as they are declared here; the server's are made so, or changed to be so. */
import { OBJECT_BUCKET, headers, streamNames } from '@gantry/contracts/subjects';
import {
  DiscardPolicy,
  JetStreamApiError,
  RetentionPolicy,
  StorageType,
  StoreCompression,
  jetstreamManager,
  type StreamConfig,
} from '@nats-io/jetstream';
import { nanos, type NatsConnection } from '@nats-io/transport-node';
import { fromNats } from './connect.js';

const days = (count: number): number => nanos(count * 24 * 60 * 60 * 1_000);
const gibibyte = 1024 ** 3;

/** What a stream is, as far as we care. */
export type DeclaredStream = Pick<StreamConfig, 'name' | 'subjects' | 'description'> & Partial<StreamConfig>;

/** How long job events are kept at most, for systems that were away. */
export const JOB_EVENTS_KEPT_MILLISECONDS = 24 * 60 * 60 * 1_000;

/** Every stream of the house. `replicas`: 1, or 3 in a NATS cluster. */
export const declaredStreams = (replicas = 1): readonly DeclaredStream[] => [
  {
    name: streamNames.events,
    description:
      'Events of all services, published by the relays of their logs. Postgres keeps them; this carries them.',
    subjects: ['gantry.evt.>'],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.Old,
    max_age: days(14),
    max_bytes: 4 * gibibyte,
    duplicate_window: nanos(10 * 60 * 1_000),
    compression: StoreCompression.S2,
    // A relay asks whether what it published last is still there.
    allow_direct: true,
    num_replicas: replicas,
  },
  {
    name: streamNames.deadLetters,
    description: 'Messages that a consumer gave up on, with the reason in the headers.',
    subjects: ['gantry.dlq.*'],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.Old,
    max_age: days(30),
    max_bytes: gibibyte,
    num_replicas: replicas,
  },
  {
    name: streamNames.jobEvents,
    description:
      'What the pods of all jobs print, in batches as they are stored, for other systems. Postgres keeps it; this carries it.',
    subjects: ['gantry.job_events.*'],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.Old,
    max_age: nanos(JOB_EVENTS_KEPT_MILLISECONDS),
    max_bytes: gibibyte,
    duplicate_window: nanos(2 * 60 * 1_000),
    num_replicas: replicas,
  },
  {
    // The layout that @nats-io/obj expects of a bucket (NATS ADR-20).
    name: `OBJ_${OBJECT_BUCKET}`,
    description:
      'Project archives and inventory snapshots by sha256. Parts of a job record: kept until removed.',
    subjects: [`$O.${OBJECT_BUCKET}.C.>`, `$O.${OBJECT_BUCKET}.M.>`],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    max_age: 0,
    allow_rollup_hdrs: true,
    allow_direct: true,
    num_replicas: replicas,
  },
];

/** What `ensureStreams` found or did, by stream. */
export type StreamOutcome = 'unchanged' | 'created' | 'updated';

/**
 * Makes the declared streams, or changes those that differ. Safe to run twice at once. A user that may only look gets
 * through when nothing is to be done. Throws `forbidden` when something is to be done and the user may not, `unavailable`.
 */
export const ensureStreams = async (
  nc: NatsConnection,
  options: { replicas?: number } = {},
): Promise<Record<string, StreamOutcome>> => {
  const outcome: Record<string, StreamOutcome> = {};
  try {
    const manager = await jetstreamManager(nc, { checkAPI: false });
    for (const declared of declaredStreams(options.replicas)) {
      const existing = await manager.streams.info(declared.name).catch((error: unknown) => {
        if (error instanceof JetStreamApiError && error.code === 10059) return null;
        throw error;
      });
      if (!existing) {
        await manager.streams.add(declared);
        outcome[declared.name] = 'created';
      } else if (differs(declared, existing.config)) {
        await manager.streams.update(declared.name, { ...existing.config, ...declared });
        outcome[declared.name] = 'updated';
      } else {
        outcome[declared.name] = 'unchanged';
      }
    }
    return outcome;
  } catch (error) {
    throw fromNats(error, 'make the JetStream streams');
  }
};

/** True when the server's configuration is not what is declared; what is not declared is the server's own affair. */
export const differs = (declared: DeclaredStream, actual: object): boolean =>
  Object.entries(declared).some(
    ([key, value]) => JSON.stringify(value) !== JSON.stringify((actual as Record<string, unknown>)[key]),
  );

/** When the events stream was made, ISO 8601: another value means that it is another stream and all events must be published again. */
export const eventStreamBirth = async (nc: NatsConnection): Promise<string> => {
  try {
    const manager = await jetstreamManager(nc, { checkAPI: false });
    return (await manager.streams.info(streamNames.events)).created;
  } catch (error) {
    throw fromNats(error, 'look at the events stream');
  }
};

/**
 * Whether the newest message on `subject` of the events stream is the one with this id; `aged` when the stream begins
 * after `at`, so that the message may have been dropped for its age or the stream's size. Throws `unavailable`, or
 * `forbidden` when the subject is not the service's own.
 */
export const newestIs = async (
  nc: NatsConnection,
  subject: string,
  id: string,
  at: Date,
): Promise<'yes' | 'no' | 'aged'> => {
  try {
    const manager = await jetstreamManager(nc, { checkAPI: false });
    const newest = await manager.direct.getMessage(streamNames.events, { last_by_subj: subject });
    if (newest?.header.get(headers.messageId) === id) return 'yes';
    const { first_ts } = (await manager.streams.info(streamNames.events)).state;
    return new Date(first_ts) > at ? 'aged' : 'no';
  } catch (error) {
    throw fromNats(error, `look at the newest event on ${subject}`);
  }
};
