/**
 * Proving a job's record: reading it exactly as it is stored, and checking it (docs/RECORD.md). The checks themselves are
 * pure functions of @gantry/eventlog; here are the words they and the services speak.
 */
import { z } from 'zod';
import { command, Id } from './command.js';
import { finalStatuses, Job } from './job.js';
import { RecordSealed } from './record.js';

/** Where something does not fit. `record`: the row of the record; `file`: an archive's own bytes. */
export const findingParts = ['chunk', 'record', 'record_stream', 'job_stream', 'seal', 'file'] as const;

/** One thing that does not fit, named as exactly as it can be told. */
export const Finding = z.object({
  part: z.enum(findingParts),
  /** Of the chunk, by its own header; null elsewhere. */
  firstCounter: z.number().int().nullable(),
  lastCounter: z.number().int().nullable(),
  /** Of the event in its stream; null elsewhere. */
  version: z.number().int().nullable(),
  /** The column or field; null when whole chunks or events are missing. */
  column: z.string().nullable(),
  found: z.string().nullable(),
  expected: z.string().nullable(),
  /** A sentence for a person. */
  message: z.string(),
});
/** One thing that does not fit. */
export type Finding = z.output<typeof Finding>;

/** A chunk without its bytes: the columns of its row. Hashes are hex. */
export const ChunkHeader = z.object({
  firstCounter: z.number().int(),
  lastCounter: z.number().int(),
  firstLine: z.number().int(),
  lastLine: z.number().int(),
  epoch: z.number().int(),
  rawLength: z.number().int(),
  /** 1: gzip. */
  codec: z.number().int(),
  /** ISO 8601 with microseconds, UTC. */
  receivedAt: z.string(),
  previousHash: z.string(),
  hash: z.string(),
  /** Of the stored bytes. */
  payloadSha256: z.string(),
  /** Of the other columns: docs/RECORD.md. */
  headerSha256: z.string(),
});
/** A chunk without its bytes. */
export type ChunkHeader = z.output<typeof ChunkHeader>;

/** An event of a log with its links in the chain. */
export const LinkedEvent = z.object({
  id: z.string(),
  stream: z.string(),
  streamVersion: z.number().int(),
  type: z.string(),
  version: z.number().int(),
  data: z.unknown(),
  meta: z.unknown(),
  at: z.string(),
  previousHash: z.string(),
  hash: z.string(),
});
/** An event of a log with its links in the chain. */
export type LinkedEvent = z.output<typeof LinkedEvent>;

/** What the row of a record says. */
export const RecordRow = z.object({
  jobId: Id,
  organizationId: Id,
  epoch: z.number().int(),
  agentEpoch: z.number().int(),
  lastCounter: z.number().int(),
  lastLine: z.number().int(),
  /** Hex. */
  head: z.string(),
  /** Decimal: may be beyond what a double counts exactly. */
  rawBytes: z.string(),
  storedBytes: z.string(),
  alarms: z.number().int(),
  streamVersion: z.number().int(),
  seal: RecordSealed.data.nullable(),
});
/** What the row of a record says. */
export type RecordRow = z.output<typeof RecordRow>;

/** How far a check of chunks has come, and what the next chunk must follow. Holds no secret: whoever forges one fools himself. */
export const ChainState = z.object({
  /** Last event, last line, and head of the chain up to there (hex). */
  counter: z.number().int(),
  line: z.number().int(),
  head: z.string(),
  /** Where to read on: first counter of the last chunk looked at, as its row says. */
  after: z.number().int(),
  epoch: z.number().int(),
  chunks: z.number().int(),
  rawBytes: z.number().int(),
  storedBytes: z.number().int(),
  /** Events that say that something is gone. */
  gaps: z.number().int(),
  /** Something was found: sums over the whole say nothing any more. */
  damaged: z.boolean(),
});
/** How far a check of chunks has come. */
export type ChainState = z.output<typeof ChainState>;

/** Before every chunk, also one whose counter was damaged: below what its column holds. */
export const BEFORE_ALL_CHUNKS = -(2 ** 31) - 1;

/** A page of a log's stream, as stored: at most about 400 KB. */
const StreamPage = z.object({ events: z.array(LinkedEvent), hasMore: z.boolean() });
const streamRequest = z.object({ jobId: Id, afterVersion: z.number().int().min(0).default(0) });

/** The row of a record. Needs `read`. Errors: not_found, forbidden. */
export const ReadRecordRow = command('ingest.record.row', {
  callers: ['gateway'],
  input: z.object({ jobId: Id }),
  output: z.object({ row: RecordRow }),
});
/**
 * Chunks as they are stored, those after the one that begins with `after`: whole ones up to about 400 KB, or a piece of one
 * that is larger, from byte `offset` on: ask again with what has come. Needs `read`. Errors: not_found, forbidden.
 */
export const ReadChunks = command('ingest.record.chunks', {
  callers: ['gateway'],
  input: z.object({
    jobId: Id,
    after: z.number().int().default(BEFORE_ALL_CHUNKS),
    offset: z.number().int().min(0).default(0),
  }),
  output: z.object({
    chunks: z.array(
      z.object({
        header: ChunkHeader,
        storedLength: z.number().int(),
        /** Base64: from `offset` on, whole unless it ends before `storedLength`. */
        payload: z.string(),
      }),
    ),
  }),
});
/** The milestones of a record, stream `record-<jobId>`. Needs `read`. */
export const ReadRecordStream = command('ingest.record.stream', {
  callers: ['gateway'],
  input: streamRequest,
  output: StreamPage,
});
/** The life of a job, stream `job-<jobId>`. Needs `read`, or to have launched it. */
export const ReadJobStream = command('launcher.job.stream', {
  callers: ['gateway'],
  input: streamRequest,
  output: StreamPage,
});
/**
 * Checks a record from where `state` says: so many chunks that one call stays short, and once all are looked at the row, the
 * seal and the record's own stream. `state` null: done. Needs `read`. Errors: not_found, forbidden.
 */
export const VerifyRecord = command('ingest.record.verify', {
  callers: ['gateway'],
  input: z.object({ jobId: Id, state: ChainState.nullish() }),
  output: z.object({
    findings: z.array(Finding),
    state: ChainState.nullable(),
    checkedCounter: z.number().int(),
    lastCounter: z.number().int(),
    gaps: z.number().int(),
    seal: RecordSealed.data.nullable(),
  }),
  timeoutMilliseconds: 30_000,
});
/**
 * Checks the chain of the job's stream, and its word on the record against `seal` (null: there is no record, or no seal).
 * Needs `read`, or to have launched it. Errors: not_found, forbidden.
 */
export const VerifyJobStream = command('launcher.job.verify', {
  callers: ['gateway'],
  input: z.object({ jobId: Id, seal: RecordSealed.data.nullable() }),
  output: z.object({ findings: z.array(Finding), events: z.number().int(), finished: z.boolean() }),
  timeoutMilliseconds: 30_000,
});
/** A job and its stream, for ingest to archive the job before its output is dropped: nobody's wish, so nobody's rights. Errors: not_found. */
export const ReadJobForArchive = command('launcher.job.for_archive', {
  callers: ['ingest'],
  input: streamRequest,
  output: StreamPage.extend({ job: Job }),
});
/** Proof of records: what ingest and the launcher answer. */
export const proofCommands = [
  ReadRecordRow,
  ReadChunks,
  ReadRecordStream,
  ReadJobStream,
  VerifyRecord,
  VerifyJobStream,
  ReadJobForArchive,
] as const;

/** Says that a file is an archive of ours, and how it is laid out: docs/RECORD.md section 5. */
export const archiveFormat = { name: 'gantry-job-record', version: 1 } as const;

/** `manifest.json` of an exported job. Paths are relative to the folder in the archive. */
export const ArchiveManifest = z.object({
  format: z.literal(archiveFormat.name),
  formatVersion: z.literal(archiveFormat.version),
  job: Job.pick({
    id: true,
    name: true,
    organizationId: true,
    jobTemplateId: true,
    reason: true,
    launchedBy: true,
    createdAt: true,
    startedAt: true,
    pinned: true,
    agent: true,
  }).extend({ status: z.enum(finalStatuses), finishedAt: z.string() }),
  /** Null for a job that never had a pod. */
  record: RecordRow.nullable(),
  /** Number of events in each stream, and the hash of the last one (hex). */
  streams: z.object({
    job: z.object({ file: z.string(), events: z.number().int(), head: z.string() }),
    record: z.object({ file: z.string(), events: z.number().int(), head: z.string() }),
  }),
  hosts: z.object({ file: z.string(), count: z.number().int() }),
  chunks: z.array(ChunkHeader.extend({ file: z.string(), storedLength: z.number().int() })),
});
/** `manifest.json` of an exported job. */
export type ArchiveManifest = z.output<typeof ArchiveManifest>;
