/** Ingest: the job record (docs/PROTOCOL.md part 1 writes it). Stream `record-<jobId>` holds its milestones; the events themselves lie in chunks. */
import { z } from 'zod';
import { command, Id } from './command.js';
import { event } from './envelope.js';
import { finalStatuses, JobPodStarted, JobRecordSealed, Reason } from './job.js';
import { StoredObject, Variables } from './template.js';

const jobId = z.object({ jobId: Id });
/** A pod of this attempt may write. */
export const RecordOpened = event('record.opened', 1, jobId.extend({ epoch: z.number().int() }));
/** The agent of this attempt has proved who it is. */
export const RecordAgentStarted = event(
  'record.agent_started',
  1,
  jobId.extend({ epoch: z.number().int(), agent: JobPodStarted.data.shape.agent }),
);
/** Other bytes came for a counter that is committed: nothing was overwritten. */
export const RecordIntegrityAlarm = event(
  'record.integrity_alarm',
  1,
  jobId.extend({
    epoch: z.number().int(),
    firstCounter: z.number().int(),
    committedHash: z.string(),
    receivedHash: z.string(),
  }),
);
/** Complete (status said by the agent) or ended without a final message (status null). Nothing can be added after it. */
export const RecordSealed = event(
  'record.sealed',
  1,
  jobId.extend(JobRecordSealed.data.omit({ jobId: true }).shape),
);
/** Every event in ingest's log. */
export const recordEvents = { RecordOpened, RecordAgentStarted, RecordIntegrityAlarm, RecordSealed };

/** What the pod is to run: none of it secret. */
export const Payload = z.object({
  project: StoredObject,
  inventory: StoredObject,
  playbook: z.string(),
  arguments: z.array(z.string()),
  /** Only these hosts, by name: the pod gives them to ansible-playbook in a file. */
  limitHosts: z.array(z.string()).nullish(),
  environment: z.record(z.string(), z.string()),
  extraVars: Variables,
  timeoutSeconds: z.number().int(),
});
/** What the pod is to run. */
export type Payload = z.output<typeof Payload>;

/** Prepares for the pod of this attempt. Idempotent; a higher epoch shuts out the one before. `bearerSha256`: hex. */
export const OpenRecord = command('ingest.record.open', {
  callers: ['launcher'],
  input: z.object({
    jobId: Id,
    epoch: z.number().int().min(1),
    organizationId: Id,
    /** What its retention rule goes by besides the organization; left out by older launchers. */
    jobTemplateId: Id.nullish(),
    bearerSha256: z.string(),
    payload: Payload,
  }),
  output: z.object({}),
});
/** The next answer to the pod says cancel. Idempotent. */
export const CancelRecord = command('ingest.record.cancel', {
  callers: ['launcher'],
  input: jobId,
  output: z.object({}),
});
/**
 * The pod is gone: seals what there is unless sealed already, and ends the pod's token. Idempotent. Answers with the seal.
 */
export const CloseRecord = command('ingest.record.close', {
  callers: ['launcher'],
  input: z.object({ jobId: Id, epoch: z.number().int(), reason: Reason.nullable() }),
  output: z.object({ seal: RecordSealed.data }),
});

/** A job event: the agent's own JSON, plus what queries need at hand. */
export const JobEvent = z.object({
  counter: z.number().int(),
  uuid: z.string(),
  parentUuid: z.string().nullable(),
  event: z.string(),
  stdout: z.string(),
  startLine: z.number().int(),
  endLine: z.number().int(),
  created: z.string().nullable(),
  host: z.string().nullable(),
  task: z.string().nullable(),
  play: z.string().nullable(),
  role: z.string().nullable(),
  failed: z.boolean(),
  changed: z.boolean(),
  eventData: z.record(z.string(), z.unknown()),
});
/** A job event. */
export type JobEvent = z.output<typeof JobEvent>;

/** How a result went. `changed` is an ok that changed something; `failed` is one that was not ignored. */
export const resultStatuses = ['ok', 'changed', 'failed', 'unreachable', 'skipped', 'ignored'] as const;
/** How a result went. */
export type ResultStatus = (typeof resultStatuses)[number];

const words = z.array(z.string()).max(100).nullish();
/**
 * Which events of a job; all conditions together, each list meaning any of its entries. Conditions on host, task, play, role and
 * status find results and task events, which have a row in the index; output that belongs to no task has none.
 */
export const JobEventFilter = z.object({
  hosts: words,
  /** Names or uuids. */
  tasks: words,
  plays: words,
  roles: words,
  events: z.array(z.string()).max(50).nullish(),
  statuses: z.array(z.enum(resultStatuses)).nullish(),
  failedOnly: z.boolean().nullish(),
  changedOnly: z.boolean().nullish(),
  /** Events with a counter below this. */
  before: z.number().int().min(1).nullish(),
  /** In what the event printed, escapes taken out; upper and lower case are the same. */
  text: z.string().min(1).max(200).nullish(),
});
/** Which events of a job. */
export type JobEventFilter = z.output<typeof JobEventFilter>;

/** How a record ended: on the last batch of the live output. */
export const RecordFinal = z.object({
  count: z.number().int(),
  sha256: z.string(),
  status: z.enum(finalStatuses).nullable(),
});

/**
 * Events with a counter above `after`, in order, at most `limit` and about 400 KB. `lastCounter` is how far this page got (with a filter,
 * further than its last event); `committedCounter` how far the record is. `final` once the record is sealed and this page reaches its end.
 * Errors: not_found, forbidden.
 */
export const ListJobEvents = command('ingest.event.list', {
  callers: ['gateway'],
  input: z.object({
    jobId: Id,
    after: z.number().int().min(0).default(0),
    limit: z.number().int().min(1).max(1_000).default(200),
    filter: JobEventFilter.nullish(),
  }),
  output: z.object({
    events: z.array(JobEvent),
    lastCounter: z.number().int(),
    committedCounter: z.number().int(),
    final: RecordFinal.nullable(),
  }),
});
/** How output is given: `ansi` as printed; `plain` without escapes; `html` as escaped text in spans with colour classes. */
export const outputFormats = ['ansi', 'plain', 'html'] as const;
/** How output is given. */
export type OutputFormat = (typeof outputFormats)[number];

/**
 * Lines [startLine, endLine) of the output; at most 10,000 lines and about 400 KB at once: `endLine` says how far it got. With `asOf`
 * the output is what it was after that event. Errors: not_found, forbidden.
 */
export const ReadStdout = command('ingest.stdout.read', {
  callers: ['gateway'],
  input: z.object({
    jobId: Id,
    startLine: z.number().int().min(0).default(0),
    endLine: z.number().int().nullish(),
    format: z.enum(outputFormats).default('ansi'),
    asOf: z.number().int().min(0).nullish(),
  }),
  output: z.object({
    text: z.string(),
    startLine: z.number().int(),
    endLine: z.number().int(),
    totalLines: z.number().int(),
  }),
});
/** A line of output that holds what was looked for. */
export const OutputMatch = z.object({
  line: z.number().int(),
  /** As printed, with its escapes. */
  text: z.string(),
});
/** A line of output that holds what was looked for. */
export type OutputMatch = z.output<typeof OutputMatch>;
/**
 * Lines of the output that hold `text` (upper and lower case are the same, colours aside): those from `fromLine` on, or `backwards`
 * those above it, the nearest `first` of them. `matches` are in the order of the output. `searchedLine` says how far the search got:
 * on to that line (which is not looked at yet), or back to it (which is); `complete` that nothing is left in that direction. A page ends
 * after some seconds or about 400 KB. With `asOf` the output is what it was after that event. Errors: not_found, forbidden.
 */
export const SearchOutput = command('ingest.output.search', {
  callers: ['gateway'],
  input: z.object({
    jobId: Id,
    text: JobEventFilter.shape.text.unwrap().unwrap(),
    fromLine: z.number().int().min(0).default(0),
    backwards: z.boolean().default(false),
    first: z.number().int().min(1).max(1_000).default(200),
    asOf: z.number().int().min(0).nullish(),
  }),
  output: z.object({
    matches: z.array(OutputMatch),
    searchedLine: z.number().int(),
    complete: z.boolean(),
  }),
});
/** Results of one host in a job, by Ansible's own counters. */
export const HostSummary = z.object({
  host: z.string(),
  ok: z.number().int(),
  changed: z.number().int(),
  failures: z.number().int(),
  dark: z.number().int(),
  skipped: z.number().int(),
  rescued: z.number().int(),
  ignored: z.number().int(),
});
/** Results of one host in a job. */
export type HostSummary = z.output<typeof HostSummary>;
/**
 * Per host, counted as the job runs; by host name. With `asOf` as they were after that event. `failedOnly`: hosts with a failure, or
 * that could not be reached, at the end; not together with `asOf`. Errors: not_found, forbidden, refused (record_dropped).
 */
export const ListHostSummaries = command('ingest.host_summary.list', {
  callers: ['gateway', 'launcher'],
  input: z.object({
    jobId: Id,
    first: z.number().int().min(1).max(1_000).default(200),
    after: z.string().nullish(),
    asOf: z.number().int().min(0).nullish(),
    failedOnly: z.boolean().nullish(),
  }),
  output: z.object({ items: z.array(HostSummary), hasNextPage: z.boolean(), totalCount: z.number().int() }),
});
/** One task of a job: its results over all hosts, and how long they took. */
export const TaskSummary = z.object({
  /** Its first event: its place in the job, and the cursor of its page. */
  firstCounter: z.number().int(),
  uuid: z.string(),
  task: z.string().nullable(),
  play: z.string().nullable(),
  role: z.string().nullable(),
  /** When its first and last event were made, by the pod's clock, ISO 8601; null if the events do not say. */
  startedAt: z.string().nullable(),
  endedAt: z.string().nullable(),
  /** Results by status; items of a loop are not counted, their task is. `ok` includes `changed`. */
  ok: z.number().int(),
  changed: z.number().int(),
  failed: z.number().int(),
  unreachable: z.number().int(),
  skipped: z.number().int(),
  ignored: z.number().int(),
  /** Milliseconds on all hosts together, and on the slowest. */
  totalMilliseconds: z.number(),
  longestMilliseconds: z.number().int(),
  slowestHost: z.string().nullable(),
});
/** One task of a job. */
export type TaskSummary = z.output<typeof TaskSummary>;
/** Per task, counted as the job runs; in the order of the job. With `asOf` as they were after that event. Errors: not_found, forbidden. */
export const ListTaskSummaries = command('ingest.task_summary.list', {
  callers: ['gateway'],
  input: z.object({
    jobId: Id,
    first: z.number().int().min(1).max(1_000).default(200),
    /** A `firstCounter`. */
    after: z.number().int().min(0).default(0),
    asOf: z.number().int().min(0).nullish(),
  }),
  output: z.object({ items: z.array(TaskSummary), hasNextPage: z.boolean(), totalCount: z.number().int() }),
});
/** Where a job was after an event. */
export const JobMoment = z.object({
  counter: z.number().int(),
  /** Lines printed by then. */
  line: z.number().int(),
  /** When, by the pod's clock; null if the event does not say. */
  at: z.string().nullable(),
  play: z.string().nullable(),
  task: z.string().nullable(),
});
/** Where a job was after an event. */
export type JobMoment = z.output<typeof JobMoment>;
/** The moment after event `asOf` (the last one if there are fewer; before the first, `counter` is 0). Errors: not_found, forbidden. */
export const GetMoment = command('ingest.record.moment', {
  callers: ['gateway'],
  input: z.object({ jobId: Id, asOf: z.number().int().min(0) }),
  output: JobMoment,
});
/** What ingest answers. */
export const recordCommands = [
  OpenRecord,
  CancelRecord,
  CloseRecord,
  ListJobEvents,
  ReadStdout,
  SearchOutput,
  ListHostSummaries,
  ListTaskSummaries,
  GetMoment,
] as const;

/** On `gantry.live.<jobId>`, core NATS, after each commit: only a hint, the events are read from ingest. */
export const LiveHint = z.object({ jobId: Id, committedCounter: z.number().int(), sealed: z.boolean() });
/** On `gantry.watched`, core NATS, when somebody begins to watch and every few seconds while somebody does: jobs that are watched. */
export const WatchedJobs = z.object({ jobIds: z.array(Id).max(1_000) });
/** There is something new to read. */
export type LiveHint = z.output<typeof LiveHint>;
