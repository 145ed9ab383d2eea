/** Appending: two statements, the head of the stream and the insert that is refused when the head has moved. */
import { PlatformError } from '@gantry/contracts/errors';
import type { Meta, NewEvent, StoredEvent } from '@gantry/contracts/envelope';
import { chainHash, chainStart } from './hash-chain.js';
import { isoTime, readRow, selectColumns, type LogRow } from './rows.js';
import { fromPostgres, type Sql } from './sql.js';

/** What an append gave. */
export interface Appended {
  stored: StoredEvent[];
  /** These very events were in the log already: an earlier answer was lost. */
  repeated: boolean;
}

interface Head {
  version: number;
  /** Hex. */
  hash: string | null;
  /** The database's clock. */
  now: string;
}

/** See `EventLog.append`. `table` is the quoted, qualified name of `event_log`. */
export const appendEvents = async (
  sql: Sql,
  table: string,
  stream: string,
  expectedVersion: number,
  events: readonly NewEvent[],
  meta: Meta,
): Promise<Appended> => {
  if (events.length === 0)
    throw new PlatformError('invalid', `Nothing to append to ${stream}: the batch is empty.`);
  try {
    const head = await readHead(sql, table, stream);
    if (head.version !== expectedVersion)
      return await repeatedOrConflict(sql, table, stream, expectedVersion, head.version, events);
    const stored = chain(head, stream, events, meta);
    const { rows } = await sql.query<{ version: number; position: string; transaction_id: string }>(
      insertStatement(table),
      [stream, expectedVersion, JSON.stringify(stored.map(toInsert))],
    );
    if (rows.length === 0) throw conflict(stream, expectedVersion, null);
    const places = new Map(rows.map((row) => [row.version, row]));
    for (const { event } of stored) {
      const place = places.get(event.streamVersion);
      event.position = place?.position ?? '';
      event.transactionId = place?.transaction_id ?? '';
    }
    return { stored: stored.map(({ event }) => event), repeated: false };
  } catch (error) {
    throw appendError(error, stream, expectedVersion);
  }
};

const readHead = async (sql: Sql, table: string, stream: string): Promise<Head> => {
  const { rows } = await sql.query<Head>(
    `select coalesce(last.version, 0) as version, last.hash, ${isoTime('clock_timestamp()')} as now
     from (select 1) as one left join lateral
       (select version, encode(hash, 'hex') as hash from ${table} where stream = $1 order by version desc limit 1) as last on true`,
    [stream],
  );
  return rows[0]!;
};

interface Link {
  event: StoredEvent;
  /** Hex. */
  previousHash: string;
}

const chain = (head: Head, stream: string, events: readonly NewEvent[], meta: Meta): Link[] => {
  let previous = head.hash === null ? chainStart : Buffer.from(head.hash, 'hex');
  return events.map(({ id, type, version, data }, index) => {
    const event = {
      id: id.toLowerCase(),
      stream,
      streamVersion: head.version + index + 1,
      type,
      version,
      data,
      meta,
      at: head.now,
    };
    const hash = chainHash(previous, event);
    const link = {
      event: { ...event, hash: hash.toString('hex'), position: '', transactionId: '' },
      previousHash: previous.toString('hex'),
    };
    previous = hash;
    return link;
  });
};

const toInsert = ({ event, previousHash }: Link): object => ({
  version: event.streamVersion,
  id: event.id,
  type: event.type,
  schema_version: event.version,
  data: event.data,
  meta: event.meta,
  at: event.at,
  previous_hash: previousHash,
  hash: event.hash,
});

// Positions are drawn in the order of the select. The head is checked again here, in the statement that writes, and
// the unique key decides between two that run at once.
const insertStatement = (table: string): string => `
  insert into ${table} (stream, version, id, type, schema_version, data, meta, at, previous_hash, hash)
  select $1, new.version, new.id, new.type, new.schema_version, new.data, new.meta, new.at,
         decode(new.previous_hash, 'hex'), decode(new.hash, 'hex')
  from json_to_recordset($3::json) as new(version integer, id uuid, type text, schema_version integer, data jsonb,
         meta jsonb, at timestamptz, previous_hash text, hash text)
  where (select coalesce(max(version), 0) from ${table} where stream = $1) = $2::integer
  order by new.version
  returning version, position::text as position, transaction_id::text as transaction_id`;

const repeatedOrConflict = async (
  sql: Sql,
  table: string,
  stream: string,
  expected: number,
  actual: number,
  events: readonly NewEvent[],
): Promise<Appended> => {
  const { rows } = await sql.query<LogRow>(
    `select ${selectColumns} from ${table} where stream = $1 and version > $2 order by version limit $3`,
    [stream, expected, events.length],
  );
  const isRepeated =
    rows.length === events.length && rows.every((row, index) => row.id === events[index]?.id.toLowerCase());
  if (!isRepeated) throw conflict(stream, expected, actual);
  return { stored: rows.map(readRow), repeated: true };
};

const conflict = (stream: string, expected: number, actual: number | null, cause?: unknown): PlatformError =>
  new PlatformError(
    'conflict',
    `${stream} is not at version ${expected}${actual === null ? ' any more' : ` but at ${actual}`}: read it again and decide again.`,
    { details: { stream, expected, actual }, cause },
  );

const appendError = (error: unknown, stream: string, expected: number): unknown => {
  const constraint = error instanceof Error && 'constraint' in error ? error.constraint : undefined;
  if (constraint === 'event_log_stream_version_key') return conflict(stream, expected, null, error);
  if (constraint === 'event_log_id_key') {
    return new PlatformError(
      'conflict',
      `${stream}: an event with this id is in the log already, elsewhere.`,
      {
        details: { stream, reason: 'event_id' },
        cause: error,
      },
    );
  }
  return fromPostgres(error);
};
