/** NATS subjects, streams and headers. Subjects are built here and nowhere else; docs/PROTOCOL.md part 2 is their table. */
import type { CommandSpec, ServiceName } from './command.js';
import { commands, eventsByService } from './catalogue.js';

/** Where a command is sent: `gantry.cmd.<service>.<noun>.<verb>`. */
export const commandSubject = (command: Pick<CommandSpec, 'name'>): string => `gantry.cmd.${command.name}`;

/** Where an event is published: `gantry.evt.<noun>.<event>.<id>`; the id is the stream's, without its noun. */
export const eventSubject = (type: string, stream: string): string =>
  `gantry.evt.${type}.${stream.slice(stream.indexOf('-') + 1)}`;

/** All events of one type, of every id. */
export const eventSubjects = (type: string): string => `gantry.evt.${type}.*`;

/** Live hints of a job: core NATS, lossy. */
export const liveSubject = (jobId: string): string => `gantry.live.${jobId}`;

/** Which jobs are watched live just now: core NATS, lossy. */
export const WATCHED_SUBJECT = 'gantry.watched';

/** Where batches of a job's events are published for other systems: one of 16 subjects, by the last digit of its id. */
export const jobEventsSubject = (jobId: string): string =>
  `gantry.job_events.${Number.parseInt(jobId.slice(-1), 16) || 0}`;

/** What could not be handled, by the service that could not. */
export const deadLetterSubject = (service: ServiceName): string => `gantry.dlq.${service}`;

/** JetStream streams. */
export const streamNames = {
  events: 'GANTRY_EVT',
  deadLetters: 'GANTRY_DLQ',
  jobEvents: 'GANTRY_JOBEVENTS',
} as const;

/** Bucket of the object store: project archives and inventory snapshots by sha256. */
export const OBJECT_BUCKET = 'GANTRY_OBJECTS';

/** Header names; who writes and reads which stands in docs/PROTOCOL.md part 2. */
export const headers = {
  messageId: 'Nats-Msg-Id',
  traceparent: 'traceparent',
  eventType: 'Gantry-Event-Type',
  eventVersion: 'Gantry-Event-Version',
  correlationId: 'Gantry-Correlation-Id',
  causationId: 'Gantry-Causation-Id',
  assertion: 'Gantry-Assertion',
  /** Who events of this call name when nobody's assertion does: an Actor as JSON, URI-encoded. */
  actor: 'Gantry-Actor',
  /** Milliseconds since the epoch: nobody waits for the answer after it. */
  deadline: 'Gantry-Deadline',
  // Of job events; the names that the pod protocol has too mean the same there.
  jobId: 'Gantry-Job-Id',
  organizationId: 'Gantry-Organization-Id',
  firstCounter: 'Gantry-First-Counter',
  lastCounter: 'Gantry-Last-Counter',
  firstLine: 'Gantry-First-Line',
  lastLine: 'Gantry-Last-Line',
  rawBytes: 'Gantry-Raw-Bytes',
  previousHash: 'Gantry-Previous-Hash',
  hash: 'Gantry-Hash',
  contentEncoding: 'Content-Encoding',
  /** Bytes of an event that is larger than a message may be: the record has it. */
  leftOut: 'Gantry-Left-Out',
} as const;

/** Who consumes whose events: noun prefixes by service. The gateway reads them for live views. */
export const eventConsumers: Partial<Record<ServiceName, readonly string[]>> = {
  launcher: ['record', 'grant', 'image'],
  registry: ['execution_environment'],
  gateway: ['job'],
};

/** By these somebody loses a right: the gateway looks at its open subscriptions again. */
export const accessEvents = ['token.revoked', 'user.role_revoked'] as const;

/** Which subjects a service's NATS user may publish and subscribe to. JetStream's own API subjects are added by the caller. */
export const permissionsOf = (service: ServiceName): { publish: string[]; subscribe: string[] } => {
  const nouns =
    service in eventsByService
      ? nounsOf(Object.values(eventsByService[service as keyof typeof eventsByService]))
      : [];
  return {
    publish: [
      ...commands.filter((command) => command.callers.includes(service)).map(commandSubject),
      ...nouns.map((noun) => `gantry.evt.${noun}.>`),
      ...(service === 'ingest' ? ['gantry.live.*', 'gantry.job_events.*'] : []),
      ...(service === 'gateway' ? [WATCHED_SUBJECT] : []),
      deadLetterSubject(service),
    ],
    subscribe: [
      `gantry.cmd.${service}.>`,
      // Ingest hears the hints of its other replicas: whichever publishes job events, publishes those of all.
      ...(service === 'ingest' ? ['gantry.live.*', WATCHED_SUBJECT] : []),
      ...(service === 'gateway'
        ? ['gantry.live.*', 'gantry.evt.job.>', ...accessEvents.map(eventSubjects)]
        : []),
    ],
  };
};

const nounsOf = (specs: readonly { type: string }[]): string[] => [
  ...new Set(specs.map((spec) => spec.type.split('.')[0]!)),
];
