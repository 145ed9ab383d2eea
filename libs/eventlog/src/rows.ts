/** How a row of `event_log` is read, whatever type parsers the caller's driver has. */
import type { Meta, StoredEvent } from '@gantry/contracts/envelope';

/** A row as `selectColumns` gives it: text where the driver could round or reshape a value. */
export interface LogRow {
  id: string;
  type: string;
  schema_version: number;
  stream: string;
  version: number;
  position: string;
  transaction_id: string;
  data: string;
  meta: string;
  at: string;
  hash: string;
  previous_hash: string;
}

/** A timestamptz column as ISO 8601 with milliseconds, UTC: what `Date.toISOString` writes. */
export const isoTime = (column: string): string =>
  `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/** The columns of a LogRow. */
export const selectColumns = `id::text as id, type, schema_version, stream, version, position::text as position,
  transaction_id::text as transaction_id, data::text as data, meta::text as meta, ${isoTime('at')} as at,
  encode(hash, 'hex') as hash, encode(previous_hash, 'hex') as previous_hash`;

/** The event that a row holds. */
export const readRow = (row: LogRow): StoredEvent => ({
  id: row.id,
  type: row.type,
  version: row.schema_version,
  data: JSON.parse(row.data) as unknown,
  stream: row.stream,
  streamVersion: row.version,
  position: row.position,
  transactionId: row.transaction_id,
  meta: JSON.parse(row.meta) as Meta,
  at: row.at,
  hash: row.hash,
});
