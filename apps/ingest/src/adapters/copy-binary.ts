/**
 * Rows in Postgres's binary COPY format: bytes go in as they are, nothing is escaped or printed.
 * Source: https://www.postgresql.org/docs/15/sql-copy.html (Binary Format)
 */
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';

/** Collects the rows of one COPY in one growing buffer. Fields go in by column, in order; null is SQL's null. */
export interface RowWriter {
  /** Begins a row of so many columns. */
  row(columns: number): RowWriter;
  int2(value: number): RowWriter;
  int4(value: number | null): RowWriter;
  int8(value: bigint): RowWriter;
  bool(value: boolean): RowWriter;
  text(value: string | null): RowWriter;
  bytes(value: Buffer): RowWriter;
  /** From `YYYY-MM-DD`. */
  date(value: string): RowWriter;
  /** timestamptz, from milliseconds since 1970. */
  timestamp(milliseconds: number): RowWriter;
  uuid(value: string): RowWriter;
  /** Rows so far. */
  readonly count: number;
  /** The whole COPY stream. */
  finish(): Buffer;
}

const signature = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
const millisecondsTo2000 = Date.UTC(2000, 0, 1);

/** An empty stream of rows. */
export const createRowWriter = (): RowWriter => {
  let buffer = Buffer.allocUnsafe(16 * 1024);
  let at = signature.copy(buffer);
  let count = 0;
  let [lastDate, lastDay] = ['', 0];
  const room = (bytes: number): void => {
    if (at + bytes <= buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, at + bytes));
    buffer.copy(larger, 0, 0, at);
    buffer = larger;
  };
  const field = (length: number): void => {
    room(length + 4);
    at = buffer.writeInt32BE(length, at);
  };
  const writer: RowWriter = {
    get count() {
      return count;
    },
    row: (columns) => {
      room(2);
      at = buffer.writeInt16BE(columns, at);
      count += 1;
      return writer;
    },
    int2: (value) => {
      field(2);
      at = buffer.writeInt16BE(value, at);
      return writer;
    },
    int4: (value) => {
      if (value === null) {
        room(4);
        at = buffer.writeInt32BE(-1, at);
        return writer;
      }
      field(4);
      at = buffer.writeInt32BE(value, at);
      return writer;
    },
    int8: (value) => {
      field(8);
      at = buffer.writeBigInt64BE(value, at);
      return writer;
    },
    bool: (value) => {
      field(1);
      at = buffer.writeUInt8(value ? 1 : 0, at);
      return writer;
    },
    text: (value) => (value === null ? writer.int4(null) : writer.bytes(Buffer.from(value, 'utf8'))),
    bytes: (value) => {
      field(value.length);
      at += value.copy(buffer, at);
      return writer;
    },
    date: (value) => {
      // Thousands of rows of the same day come one after another.
      if (value !== lastDate) {
        lastDate = value;
        lastDay = (Date.parse(`${value}T00:00:00Z`) - millisecondsTo2000) / 86_400_000;
      }
      return writer.int4(lastDay);
    },
    timestamp: (milliseconds) => writer.int8(BigInt(Math.round(milliseconds - millisecondsTo2000)) * 1_000n),
    uuid: (value) => writer.bytes(Buffer.from(value.replaceAll('-', ''), 'hex')),
    finish: () => {
      room(2);
      buffer.writeInt16BE(-1, at);
      return buffer.subarray(0, at + 2);
    },
  };
  return writer;
};

/** Copies rows into a table, within the client's transaction. Column order is the rows'. */
export const copyRows = async (
  client: pg.PoolClient,
  table: string,
  columns: readonly string[],
  rows: RowWriter,
): Promise<void> => {
  if (rows.count === 0) return;
  const stream = client.query(copyFrom(`copy ${table} (${columns.join(', ')}) from stdin (format binary)`));
  await new Promise<void>((resolve, reject) => {
    stream.once('finish', resolve).once('error', reject);
    stream.end(rows.finish());
  });
};
