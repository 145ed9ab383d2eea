/**
 * Retention (docs/adr/0016): how long ingest keeps the output of jobs. Stream `retention-<organizationId>` holds an
 * organization's rules, stream `retention-<day>` what became of the partition of that day.
 */
import { z } from 'zod';
import { command, Id } from './command.js';
import { event } from './envelope.js';

/** Days that the output of a job is kept after its end; 0 for ever. */
export const KeepDays = z.number().int().min(0).max(36_500);

const scope = { organizationId: Id, jobTemplateId: Id.nullable() };
/** From now on. Without a template: every job of the organization that has no rule of its template's own. */
export const RetentionRuleSet = event(
  'retention.rule_set',
  1,
  z.object({ ...scope, keepDays: z.number().int() }),
);
/** The next wider rule holds again. */
export const RetentionRuleRemoved = event('retention.rule_removed', 1, z.object(scope));
const partition = {
  /** The partition's key: the first day on which its jobs were not to be kept any more. */
  partition: z.iso.date(),
  jobs: z.number().int(),
  storedBytes: z.number().int(),
};
/** Every job of the partition that is about to go lies in the archive, read back and compared. */
export const RetentionPartitionArchived = event(
  'retention.partition_archived',
  1,
  z.object({ ...partition, archive: z.string() }),
);
/** Chunks and index of the partition are gone. `moved`: jobs that are kept for longer and lie in other partitions now. */
export const RetentionPartitionDropped = event(
  'retention.partition_dropped',
  1,
  z.object({ ...partition, moved: z.number().int(), freedBytes: z.number().int() }),
);
/** Events of ingest's log that tell of retention. */
export const retentionEvents = {
  RetentionRuleSet,
  RetentionRuleRemoved,
  RetentionPartitionArchived,
  RetentionPartitionDropped,
};

/** A rule in force. */
export const RetentionRule = z.object({
  organizationId: Id,
  jobTemplateId: Id.nullable(),
  keepDays: KeepDays,
  setAt: z.string(),
  setBy: z.string(),
});
/** A rule in force. */
export type RetentionRule = z.output<typeof RetentionRule>;

const ruleInput = { organizationId: Id, jobTemplateId: Id.nullish() };
/** Sets the rule of an organization, or of one of its job templates. Needs `admin` in the organization. Errors: forbidden. */
export const SetRetentionRule = command('ingest.retention_rule.set', {
  callers: ['gateway'],
  input: z.object({ ...ruleInput, keepDays: KeepDays }),
  output: z.object({ rule: RetentionRule }),
});
/** Takes a rule away. Needs `admin` in the organization. Errors: forbidden, not_found. */
export const RemoveRetentionRule = command('ingest.retention_rule.remove', {
  callers: ['gateway'],
  input: z.object(ruleInput),
  output: z.object({}),
});
/** The rules of the organizations that the caller may read, and what holds without one. At most 1,000. */
export const ListRetentionRules = command('ingest.retention_rule.list', {
  callers: ['gateway'],
  input: z.object({ organizationId: Id.nullish() }),
  output: z.object({ defaultKeepDays: KeepDays, items: z.array(RetentionRule) }),
});

/** Where the archive of a job lies. */
export const RecordArchive = z.object({
  /** A URL for people and programs: `file:///...`, `s3://bucket/...`. */
  location: z.string(),
  /** Hex, of the archive's bytes. */
  sha256: z.string(),
  sizeBytes: z.number().int(),
  archivedAt: z.string(),
});
/** Where the archive of a job lies. */
export type RecordArchive = z.output<typeof RecordArchive>;

/** How large a job's record is, and how long it is kept. */
export const RecordRetention = z.object({
  jobId: Id,
  rawBytes: z.number().int(),
  storedBytes: z.number().int(),
  /** By the rule in force now; 0 for ever. */
  keepDays: KeepDays,
  /** Whose rule that is. */
  rule: z.enum(['job_template', 'organization', 'default']),
  /** First day (UTC) on which it may go; null while it runs, when it is kept for ever, and once it went. */
  keptUntil: z.string().nullable(),
  archive: RecordArchive.nullable(),
  droppedAt: z.string().nullable(),
  /** A sentence: the rule by which it was dropped. */
  droppedBy: z.string().nullable(),
});
/** How large a job's record is, and how long it is kept. */
export type RecordRetention = z.output<typeof RecordRetention>;

/** Of those of the jobs that have a record and that the caller may read; in no order. */
export const DescribeRecords = command('ingest.record.describe', {
  callers: ['gateway'],
  input: z.object({ jobIds: z.array(Id).max(200) }),
  output: z.object({ items: z.array(RecordRetention) }),
});

/** What retention would do with a partition now. */
export const partitionActions = ['wait', 'drop', 'empty'] as const;
/** A partition as retention sees it. */
export const StoragePartition = z.object({
  /** Its key, `YYYY-MM-DD`: the day on which its jobs may go by the rules they were opened under; a year past 2900: never. */
  partition: z.string(),
  /** Tables, indexes and all, on disk. */
  bytes: z.number().int(),
  /** Jobs that are over. */
  jobs: z.number().int(),
  /** Jobs that are not. */
  openJobs: z.number().int(),
  /** Compressed output of the jobs that are over. */
  storedBytes: z.number().int(),
  /** Last day on which a job in it ended; null when none has. */
  lastEnded: z.string().nullable(),
  /** What retention would do now: `drop` it (after moving `keptJobs` elsewhere), remove it as `empty`, or `wait`. */
  action: z.enum(partitionActions),
  /** A sentence: why. */
  reason: z.string(),
  /** First day on which that may change by itself; null for never, or when a running job decides. */
  due: z.string().nullable(),
  /** Jobs in it that are kept for longer by the rules in force now. */
  keptJobs: z.number().int(),
});
/** A partition as retention sees it. */
export type StoragePartition = z.output<typeof StoragePartition>;

/** What the record takes on disk, and what retention would do now: nothing is changed. Superusers and auditors only. Errors: forbidden. */
export const DescribeStorage = command('ingest.storage.describe', {
  callers: ['gateway'],
  input: z.object({}),
  output: z.object({
    totalBytes: z.number().int(),
    storedBytes: z.number().int(),
    /** Of the 100 largest. */
    organizations: z.array(
      z.object({
        organizationId: Id,
        jobs: z.number().int(),
        rawBytes: z.number().int(),
        storedBytes: z.number().int(),
      }),
    ),
    /** By key, at most 1,000. */
    partitions: z.array(StoragePartition),
    /** Day of the end of the oldest job that is kept. */
    oldestDay: z.string().nullable(),
    /** Day of the next drop by the rules in force; null for none. */
    nextDrop: z.string().nullable(),
    /** Where jobs are archived before they go; null for nowhere. */
    archive: z.string().nullable(),
    defaultKeepDays: KeepDays,
  }),
});

/** What ingest answers of retention. */
export const retentionCommands = [
  SetRetentionRule,
  RemoveRetentionRule,
  ListRetentionRules,
  DescribeRecords,
  DescribeStorage,
] as const;
