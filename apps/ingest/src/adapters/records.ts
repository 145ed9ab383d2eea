/** The row of a job's record: reading and locking it. Every change of a record goes on under this row's lock. */
import { PlatformError } from '@gantry/contracts/errors';
import type { EventOf } from '@gantry/contracts/envelope';
import type { Payload, RecordSealed } from '@gantry/contracts/record';
import { fromPostgres, identifier, type Sql } from '@gantry/eventlog/sql';

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
}

const columns = `job_id as "jobId", number::text as number, day::text as day, organization_id as "organizationId", epoch,
  last_counter as "lastCounter", last_line as "lastLine", encode(chain_head, 'hex') as head, agent_epoch as "agentEpoch",
  cancel_requested as "cancelRequested", alarms, stream_version as "streamVersion", seal, closed_at is not null as closed`;

/** Reads rows of `job_record`. */
export interface Records {
  /** Null if nobody opened it. */
  find(sql: Sql, jobId: string): Promise<JobRecord | null>;
  /** The same, locked until the transaction ends. */
  lock(sql: Sql, jobId: string): Promise<JobRecord | null>;
  /** Locks many in one order, so that two groups cannot wait for each other. */
  lockAll(sql: Sql, jobIds: readonly string[]): Promise<Map<string, JobRecord>>;
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
    lock: async (sql, jobId) =>
      (await select(sql, 'where job_id = $1 for no key update', [jobId]))[0] ?? null,
    lockAll: async (sql, jobIds) => {
      const rows = await select(sql, 'where job_id = any($1::uuid[]) order by job_id for no key update', [
        jobIds,
      ]);
      return new Map(rows.map((row) => [row.jobId, row]));
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
