/**
 * Rows in Postgres's binary COPY format: bytes go in as they are, nothing is escaped or printed.
 * Source: https://www.postgresql.org/docs/15/sql-copy.html (Binary Format)
 */
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';

/** A column's value on its way; null is SQL's null. */
export type Field = Buffer | null;

const signature = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
const trailer = Buffer.from([0xff, 0xff]);
const nullLength = Buffer.from([0xff, 0xff, 0xff, 0xff]);
const millisecondsTo2000 = Date.UTC(2000, 0, 1);

/** smallint */
export const int2 = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(2);
  bytes.writeInt16BE(value);
  return bytes;
};
/** integer */
export const int4 = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value);
  return bytes;
};
/** bigint */
export const int8 = (value: bigint | string): Buffer => {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
};
/** boolean */
export const bool = (value: boolean): Buffer => (value ? Buffer.from([1]) : Buffer.from([0]));
/** text */
export const text = (value: string | null): Field => (value === null ? null : Buffer.from(value, 'utf8'));
/** uuid */
export const uuid = (value: string): Buffer => Buffer.from(value.replaceAll('-', ''), 'hex');
/** date, from `YYYY-MM-DD` */
export const date = (value: string): Buffer => int4((Date.parse(`${value}T00:00:00Z`) - millisecondsTo2000) / 86_400_000);
/** timestamptz, from milliseconds since 1970 */
export const timestamp = (milliseconds: number): Buffer => int8(BigInt(Math.round(milliseconds - millisecondsTo2000)) * 1_000n);

/** All rows as one COPY stream. */
export const encodeRows = (rows: readonly (readonly Field[])[]): Buffer[] => {
  const pieces: Buffer[] = [signature];
  for (const row of rows) {
    pieces.push(int2(row.length));
    for (const field of row) {
      if (field === null) pieces.push(nullLength);
      else pieces.push(int4(field.length), field);
    }
  }
  pieces.push(trailer);
  return pieces;
};

/** Copies rows into a table, within the client's transaction. Column order is the rows'. */
export const copyRows = async (client: pg.PoolClient, table: string, columns: readonly string[], rows: readonly (readonly Field[])[]): Promise<void> => {
  if (rows.length === 0) return;
  const stream = client.query(copyFrom(`copy ${table} (${columns.join(', ')}) from stdin (format binary)`));
  await new Promise<void>((resolve, reject) => {
    stream.once('finish', resolve).once('error', reject);
    stream.end(Buffer.concat(encodeRows(rows)));
  });
};
