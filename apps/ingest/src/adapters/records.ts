/** The row of a job's record: reading and locking it. Every change of a record goes on under this row's lock. */
import { PlatformError } from '@gantry/contracts/errors';
import type { EventOf } from '@gantry/contracts/envelope';
import type { Payload, RecordSealed } from '@gantry/contracts/record';
import type { RecordArchive } from '@gantry/contracts/retention';
import { fromPostgres, identifier, type Sql } from '@gantry/eventlog/sql';
import type pg from 'pg';

/** Data of the event `record.sealed`. */
export type Seal = EventOf<typeof RecordSealed>['data'];

/** A job's record without its chunks. */
export interface JobRecord {
  jobId: string;
  /** Its short number, key of the index and the dictionaries. */
  number: string;
  /** UTC day of the partition that holds its chunks, `YYYY-MM-DD`. */
  day: string;
  organizationId: string;
  /** Null: an older launcher did not tell. */
  jobTemplateId: string | null;
  epoch: number;
  lastCounter: number;
  lastLine: number;
  /** Hex. */
  head: string;
  /** Last attempt whose agent has spoken, 0 for none. */
  agentEpoch: number;
  cancelRequested: boolean;
  /** Integrity alarms so far. */
  alarms: number;
  /** Version of the stream `record-<jobId>`. */
  streamVersion: number;
  seal: Seal | null;
  /** The pod's token is dead. */
  closed: boolean;
  /** UTC day on which it was closed. */
  endedOn: string | null;
  rawBytes: number;
  storedBytes: number;
  /** Where it lies in the archive; verified. */
  archive: StoredArchive | null;
  /** ISO 8601: its events are gone. */
  droppedAt: string | null;
  /** The rule by which they went. */
  droppedBy: string | null;
  /** The numbers of its hosts are gone as well. */
  pruned: boolean;
}

/** An archive as the record keeps it: `key` is the archive's own name for it. */
export type StoredArchive = RecordArchive & { key: string };

const columns = `job_id as "jobId", number::text as number, day::text as day, organization_id as "organizationId", job_template_id as "jobTemplateId", epoch,
  last_counter as "lastCounter", last_line as "lastLine", encode(chain_head, 'hex') as head, agent_epoch as "agentEpoch",
  cancel_requested as "cancelRequested", alarms, stream_version as "streamVersion", seal, closed_at is not null as closed,
  (closed_at at time zone 'utc')::date::text as "endedOn", raw_bytes::float8 as "rawBytes", stored_bytes::float8 as "storedBytes", archive,
  to_json(dropped_at) #>> '{}' as "droppedAt", dropped_by as "droppedBy", pruned_at is not null as pruned`;

/** Reads rows of `job_record`. */
export interface Records {
  /** Null if nobody opened it. */
  find(sql: Sql, jobId: string): Promise<JobRecord | null>;
  /** Those of many that there are, in no order. */
  findAll(sql: Sql, jobIds: readonly string[]): Promise<JobRecord[]>;
  /** As `find`, locked until the transaction ends. */
  lock(sql: Sql, jobId: string): Promise<JobRecord | null>;
  /** Locks many in one order, so that two groups cannot wait for each other. Prepared: it begins every append. */
  lockAll(client: pg.ClientBase, jobIds: readonly string[]): Promise<Map<string, JobRecord>>;
  payload(sql: Sql, jobId: string): Promise<Payload | null>;
}

/** Over the tables of a schema. */
export const createRecords = (schema: string): Records => {
  const table = `${identifier(schema)}.job_record`;
  const select = async (sql: Sql, tail: string, params: unknown[]): Promise<JobRecord[]> => {
    try {
      return (await sql.query<JobRecord>(`select ${columns} from ${table} ${tail}`, params)).rows;
    } catch (error) {
      throw fromPostgres(error);
    }
  };
  return {
    find: async (sql, jobId) => (await select(sql, 'where job_id = $1', [jobId]))[0] ?? null,
    findAll: (sql, jobIds) => select(sql, 'where job_id = any($1::uuid[])', [jobIds]),
    lock: async (sql, jobId) =>
      (await select(sql, 'where job_id = $1 for no key update', [jobId]))[0] ?? null,
    lockAll: async (client, jobIds) => {
      try {
        const { rows } = await client.query<JobRecord>({
          name: 'gantry-lock-records',
          text: `select ${columns} from ${table} where job_id = any($1::uuid[]) order by job_id for no key update`,
          values: [jobIds],
        });
        return new Map(rows.map((row) => [row.jobId, row]));
      } catch (error) {
        throw fromPostgres(error);
      }
    },
    payload: async (sql, jobId) =>
      (await sql.query<{ payload: Payload }>(`select payload from ${table} where job_id = $1`, [jobId]))
        .rows[0]?.payload ?? null,
  };
};

/** What a query says of a job that ingest has no record of. */
export const noRecord = (jobId: string): PlatformError =>
  new PlatformError('not_found', `There is no record of the job ${jobId}: its pod was never prepared.`, {
    details: { jobId },
  });

/**
 * What a query of events says of a record whose events retention has dropped; the numbers of its hosts may still be there.
 * Not `not_found`: the job is known, and where its events went is told.
 */
export const requireKept = (
  record: Pick<JobRecord, 'jobId' | 'droppedAt' | 'droppedBy' | 'archive'>,
): void => {
  const { jobId, droppedAt, droppedBy, archive } = record;
  if (droppedAt === null) return;
  const where = archive
    ? `archived on ${archive.archivedAt.slice(0, 10)} to ${archive.location} (sha256 ${archive.sha256})`
    : `not archived`;
  throw new PlatformError(
    'refused',
    `The output of job ${jobId} was dropped on ${droppedAt.slice(0, 10)} (${droppedBy ?? 'by retention'}); it was ${where}.`,
    { details: { reason: 'record_dropped', jobId, droppedAt, droppedBy, archive: shownArchive(archive) } },
  );
};

/** What people see of an archive. */
export const shownArchive = (archive: StoredArchive | null): RecordArchive | null =>
  archive && {
    location: archive.location,
    sha256: archive.sha256,
    sizeBytes: archive.sizeBytes,
    archivedAt: archive.archivedAt,
  };
