/** A record exactly as it is stored, for who checks or exports it: chunk rows column by column, bytes by ranges. */
import type { ChunkHeader, RecordRow } from '@gantry/contracts/proof';
import { fromPostgres, identifier } from '@gantry/eventlog/sql';
import type pg from 'pg';
import type { JobRecord } from './records.js';

/** A chunk's row without its bytes, and how many those are. */
export interface StoredChunk {
  header: ChunkHeader;
  storedLength: number;
}

/** Reads rows as they are; nothing is interpreted. Throws `unavailable` when Postgres is away. */
export interface StoredRows {
  /** At most `limit` chunks whose row begins after a counter, in the order of their rows. */
  headers(record: JobRecord, after: number, limit: number): Promise<StoredChunk[]>;
  /** Bytes of a chunk, at most `length` from `offset` on. */
  payload(record: JobRecord, firstCounter: number, offset: number, length: number): Promise<Buffer>;
  /** Null if nobody opened it. */
  row(jobId: string): Promise<RecordRow | null>;
}

const columns = `first_counter as "firstCounter", last_counter as "lastCounter", first_line as "firstLine", last_line as "lastLine",
  epoch, raw_length as "rawLength", codec,
  coalesce(to_char(received_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), received_at::text) as "receivedAt",
  encode(previous_hash, 'hex') as "previousHash", encode(hash, 'hex') as hash,
  encode(payload_sha256, 'hex') as "payloadSha256", encode(header_sha256, 'hex') as "headerSha256"`;

/** Over a schema's tables. */
export const createStoredRows = (pool: pg.Pool, schema: string): StoredRows => {
  const chunks = `${identifier(schema)}.job_chunk`;
  const query = async <Row extends pg.QueryResultRow>(text: string, params: unknown[]): Promise<Row[]> => {
    try {
      return (await pool.query<Row>(text, params)).rows;
    } catch (error) {
      throw fromPostgres(error);
    }
  };
  return {
    headers: async (record, after, limit) => {
      const rows = await query<ChunkHeader & { storedLength: number }>(
        `select ${columns}, octet_length(payload) as "storedLength" from ${chunks}
         where day = $1 and job_id = $2 and first_counter > $3::bigint order by first_counter limit $4`,
        [record.day, record.jobId, after, limit],
      );
      return rows.map(({ storedLength, ...header }) => ({ header, storedLength }));
    },
    payload: async (record, firstCounter, offset, length) => {
      // Bytes count from 1 in SQL.
      const rows = await query<{ piece: Buffer }>(
        `select substring(payload from $4 for $5) as piece from ${chunks} where day = $1 and job_id = $2 and first_counter = $3`,
        [record.day, record.jobId, firstCounter, offset + 1, length],
      );
      return rows[0]?.piece ?? Buffer.alloc(0);
    },
    row: async (jobId) => {
      const rows = await query<RecordRow>(
        `select job_id as "jobId", organization_id as "organizationId", epoch, agent_epoch as "agentEpoch",
           last_counter as "lastCounter", last_line as "lastLine", encode(chain_head, 'hex') as head,
           raw_bytes::text as "rawBytes", stored_bytes::text as "storedBytes", alarms, stream_version as "streamVersion", seal
         from ${identifier(schema)}.job_record where job_id = $1`,
        [jobId],
      );
      return rows[0] ?? null;
    },
  };
};
