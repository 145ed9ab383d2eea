/**
 * Rows in Postgres's binary COPY format: bytes go in as they are, nothing is escaped or printed.
 * Source: https://www.postgresql.org/docs/15/sql-copy.html (Binary Format)
 */
import type { Writable } from 'node:stream';
import type pg from 'pg';

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

/** Rows for one table; their columns in the rows' order. */
export interface Copy {
  /** Quoted, with its schema. */
  table: string;
  columns: readonly string[];
  rows: RowWriter;
}

/** What node-postgres gives a query object to send itself with (lib/client.js; pg-copy-streams stands on the same). */
interface Wire {
  query(text: string): void;
  stream: Writable;
}

const copyDone = Buffer.from([0x63, 0, 0, 0, 4]);

const send = (connection: Wire, text: string, copies: readonly Copy[]): void => {
  const { stream } = connection;
  stream.cork();
  connection.query(text);
  for (const { rows } of copies) {
    const bytes = rows.finish();
    const head = Buffer.allocUnsafe(5);
    head[0] = 0x64;
    head.writeInt32BE(bytes.length + 4, 1);
    // Not by the driver's own copyData: it would copy megabytes once more.
    for (const piece of [head, bytes, copyDone]) stream.write(piece);
  }
  stream.uncork();
};

/**
 * Copies rows into several tables in order, within the client's transaction, in one round trip: the statements and all their
 * data are sent at once, without waiting for the server to ask for each. It reads them in order, and ignores the data of
 * what failed (https://www.postgresql.org/docs/15/protocol-flow.html, COPY Operations and the simple query cycle).
 * Throws as the driver does.
 */
export const copyAll = (client: pg.ClientBase, copies: readonly Copy[]): Promise<void> => {
  const some = copies.filter(({ rows }) => rows.count > 0);
  if (some.length === 0) return Promise.resolve();
  const text = some.map(
    ({ table, columns }) => `copy ${table} (${columns.join(', ')}) from stdin (format binary)`,
  );
  return new Promise((resolve, reject) => {
    const ignore = (): void => undefined;
    const exchange = {
      submit: (connection: Wire): void => send(connection, text.join('; '), some),
      // The driver sets it for its own time limit, which is not in use here.
      callback: ignore,
      handleError: reject,
      handleReadyForQuery: () => resolve(),
      handleCopyInResponse: ignore,
      handleCommandComplete: ignore,
      handleRowDescription: ignore,
      handleDataRow: ignore,
      handleEmptyQuery: ignore,
      handlePortalSuspended: ignore,
    };
    client.query(exchange as pg.Submittable);
  });
};
