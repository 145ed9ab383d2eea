/**
 * The event log of one service: append with an expected version, read a stream, tail everything.
 *
 * Order. A row's `position` is drawn before its transaction commits, so a reader that goes by position alone steps over
 * a transaction that commits late. Readers here go by (transaction id, position) and only below
 * `pg_snapshot_xmin(pg_current_snapshot())`: every transaction below it has ended, so nothing can appear behind a
 * reader. The price: a transaction that writes and stays open in the same database holds all tails back until it ends
 * (docs/adr/0003). One of another database of the same cluster does so for a tenth of a second only: a tail that finds
 * nothing for so long looks who it is that is open. Transaction ids do not survive a dump and restore into another cluster.
 */
import { PlatformError } from '@gantry/contracts/errors';
import type { Meta, NewEvent, StoredEvent } from '@gantry/contracts/envelope';
import type { LinkedEvent } from '@gantry/contracts/proof';
import type pg from 'pg';
import { checkpointOf, compareCheckpoints, logStart, type Checkpoint } from './checkpoint.js';
import { appendEvents } from './append.js';
import { readRow, selectColumns, type LogRow } from './rows.js';
import { fromPostgres, identifier, withTransaction, type Sql } from './sql.js';
import { readAllLinks, readLinks, verifyChain, type ChainReport, type LinkPage } from './verify.js';
import { createWaker, type Waker } from './waker.js';

/** What `append` may do besides appending. */
export interface AppendOptions {
  /** Runs in the appending transaction, after the events are in. When it throws, nothing is appended. */
  inTransaction?: (sql: Sql, stored: StoredEvent[]) => Promise<void>;
}

/** How a tail waits. */
export interface TailOptions {
  /** Ends the tail without an error. */
  signal?: AbortSignal;
  /** Longest wait before looking again when nobody wakes it, in milliseconds; 500 when left out. */
  pollMs?: number;
  /** Events at most in one batch; 500 when left out. */
  limit?: number;
  /** Told of every `unavailable` that the tail rides out. */
  onUnavailable?: (error: PlatformError) => void;
}

/** One service's log. Every method throws `unavailable` when Postgres cannot be reached. */
export interface EventLog {
  /** Postgres schema that holds the log. */
  readonly schema: string;

  /**
   * Appends events to a stream, all or none, in a transaction of its own; wakes this object's tails.
   * `expectedVersion` is the version of the stream's last event, 0 for a stream that does not exist yet; the database
   * enforces it. An append whose answer was lost may be repeated as it was: when exactly these event ids already
   * follow `expectedVersion`, what is stored is returned and `inTransaction` is not run again.
   * Throws `conflict` with details {stream, expected, actual} (actual null where it could not be learnt), or {stream,
   * reason: 'event_id'} when an event id is in use elsewhere; `invalid` for an empty batch or data that Postgres
   * cannot hold (a NUL character).
   */
  append(
    stream: string,
    expectedVersion: number,
    events: readonly NewEvent[],
    meta: Meta,
    options?: AppendOptions,
  ): Promise<StoredEvent[]>;

  /**
   * The same inside the caller's transaction; call `wake` after its commit. After a `conflict` the transaction may be
   * aborted: roll it back.
   */
  appendIn(
    sql: Sql,
    stream: string,
    expectedVersion: number,
    events: readonly NewEvent[],
    meta: Meta,
  ): Promise<StoredEvent[]>;

  /** A stream's events in order, from version `fromVersion` (1 when left out) on; empty for a stream that is not there. */
  readStream(stream: string, fromVersion?: number): Promise<StoredEvent[]>;

  /** At most `limit` events after a checkpoint, in the log's order, none that a late commit could still precede. */
  readAll(after: Checkpoint, limit: number): Promise<StoredEvent[]>;

  /** The last event that `readAll` can reach now, as a checkpoint: a projection that stands here is caught up. */
  last(): Promise<Checkpoint>;

  /**
   * Every event after a checkpoint, for ever, in batches of one or more, each event exactly once. Rides out a Postgres
   * that is away (`onUnavailable`), throws on anything else. Ends when `signal` fires.
   */
  tail(after: Checkpoint, options?: TailOptions): AsyncIterable<StoredEvent[]>;

  /** Makes the tails of this object look at once instead of at their next poll. */
  wake(): void;

  /** The next events of a stream after a version, with their links in its chain, as many as a message carries: to be given away. */
  readLinks(stream: string, afterVersion: number): Promise<LinkPage>;

  /** A whole stream with its links, for `checkStream`. */
  readAllLinks(stream: string): Promise<LinkedEvent[]>;

  /** Recomputes a stream's hash chain. */
  verifyStream(stream: string): Promise<ChainReport>;
}

/** What a log stands on. */
export interface EventLogSettings {
  pool: pg.Pool;
  /** Postgres schema that holds `event_log`. */
  schema: string;
}

// Qualified: a bare name would mean the output column, which is text and sorts as such.
const order = (way: 'asc' | 'desc'): string => `order by entry.transaction_id ${way}, entry.position ${way}`;

/**
 * The oldest transaction still open that could write to this log; as a scalar subquery, which Postgres runs only if a row
 * asks for it. A transaction's owner is found by the lock that it holds on its own id, and its database by the owner: who is
 * connected to another one cannot write here. Who is not found (just ended, or prepared) counts as ours.
 */
const ownHorizon = `(
  select coalesce(min(open), pg_snapshot_xmax(pg_current_snapshot()))
  from pg_snapshot_xip(pg_current_snapshot()) as open
  where not exists (
    select from pg_locks as held join pg_stat_activity as owner using (pid)
    where held.locktype = 'transactionid' and held.granted and held.transactionid = open::xid
      and owner.datid <> (select oid from pg_database where datname = current_database())
  )
)`;
const reachable = `(transaction_id < pg_snapshot_xmin(pg_current_snapshot()) or transaction_id < ${ownHorizon})`;

/** A log over a pool; holds no connection of its own and needs no closing. */
export const createEventLog = ({ pool, schema }: EventLogSettings): EventLog => {
  const table = `${identifier(schema)}.event_log`;
  const waker = createWaker();

  // Named, so that each connection parses and plans it once: tails ask the same many times a second, and planning costs
  // Postgres ten times what looking costs.
  const select = async (name: string, where: string, values: unknown[]): Promise<StoredEvent[]> => {
    const text = `select ${selectColumns} from ${table} as entry ${where}`;
    const { rows } = await pool
      .query<LogRow>({ name: `event-log-${name}-${schema}`, text, values })
      .catch(rethrow);
    return rows.map(readRow);
  };

  const append: EventLog['append'] = async (stream, expectedVersion, events, meta, options = {}) => {
    const attempt = (): Promise<StoredEvent[]> => {
      const { inTransaction } = options;
      if (!inTransaction)
        return appendEvents(pool, table, stream, expectedVersion, events, meta).then(({ stored }) => stored);
      return withTransaction(pool, async (sql) => {
        const { stored, repeated } = await appendEvents(sql, table, stream, expectedVersion, events, meta);
        if (!repeated) await inTransaction(sql, stored);
        return stored;
      });
    };
    // A race that only the unique key saw ends with the version unknown; the second look sees who won.
    const stored = await attempt().catch((error: unknown) => {
      if (error instanceof PlatformError && error.code === 'conflict' && error.details['actual'] === null)
        return attempt();
      throw error;
    });
    waker.wake();
    return stored;
  };

  const readAll: EventLog['readAll'] = (after, limit) =>
    select(
      'read',
      `where (transaction_id, position) > ($1::xid8, $2::bigint)
         and transaction_id < pg_snapshot_xmin(pg_current_snapshot()) ${order('asc')} limit $3`,
      [after.transactionId, after.position, limit],
    );

  const readPastOthers: EventLog['readAll'] = (after, limit) =>
    select(
      'read-past-others',
      `where (transaction_id, position) > ($1::xid8, $2::bigint) and ${reachable} ${order('asc')} limit $3`,
      [after.transactionId, after.position, limit],
    );

  const last = async (): Promise<Checkpoint> => {
    const { rows } = await pool
      .query<Checkpoint>({
        name: `event-log-last-${schema}`,
        text: `select transaction_id::text as "transactionId", position::text as position from ${table} as entry
               where ${reachable} ${order('desc')} limit 1`,
      })
      .catch(rethrow);
    return rows[0] ?? logStart;
  };
  let looked: { at: number; last: Promise<Checkpoint> } | null = null;
  /** The end as it was at most so long ago: tails that wait for nothing in particular look together. */
  const recentLast = (ageMs: number): Promise<Checkpoint> => {
    if (!looked || performance.now() - looked.at > ageMs) looked = { at: performance.now(), last: last() };
    return looked.last;
  };

  return {
    schema,
    append,
    appendIn: async (sql, stream, expectedVersion, events, meta) =>
      (await appendEvents(sql, table, stream, expectedVersion, events, meta)).stored,
    readStream: (stream, fromVersion = 1) =>
      select('stream', 'where stream = $1 and version >= $2 order by version', [stream, fromVersion]),
    readAll,
    last,
    tail: (after, options = {}) => tailFrom({ readAll, readPastOthers, recentLast }, waker, after, options),
    wake: waker.wake,
    readLinks: (stream, afterVersion) => readLinks(pool, table, stream, afterVersion),
    readAllLinks: (stream) => readAllLinks((after) => readLinks(pool, table, stream, after)),
    verifyStream: async (stream) => verifyChain(pool, table, stream),
  };
};

const rethrow = (error: unknown): never => {
  throw fromPostgres(error);
};

const longestBackoffMs = 5_000;
const eagerMs = 5;
/** Looking who holds us back costs a look at all locks: not before it has lasted. */
const patientMs = 50;

/** What a tail asks Postgres. */
interface Looks extends Record<'readAll' | 'readPastOthers', EventLog['readAll']> {
  recentLast(ageMs: number): Promise<Checkpoint>;
}

async function* tailFrom(
  { readAll, readPastOthers, recentLast }: Looks,
  waker: Waker,
  after: Checkpoint,
  { signal, pollMs = 500, limit = 500, onUnavailable }: TailOptions,
): AsyncGenerator<StoredEvent[]> {
  let failures = 0;
  // After news the next looks come quickly: an event that we were woken for stays hidden while any other transaction
  // that began before it is open, which is usually for milliseconds.
  let pauseMs = eagerMs;
  const read = async (): Promise<StoredEvent[]> => {
    if (pauseMs < patientMs) return readAll(after, limit);
    // Nobody woke us: one look at the end of the log serves all its tails.
    if (compareCheckpoints(await recentLast(pollMs / 2), after) <= 0) return [];
    return readPastOthers(after, limit);
  };
  while (!signal?.aborted) {
    // Taken before the read: an append that commits while we read is not slept through.
    const since = waker.count();
    try {
      const batch = await read();
      failures = 0;
      const lastEvent = batch.at(-1);
      if (lastEvent) {
        if (signal?.aborted) return;
        after = checkpointOf(lastEvent);
        yield batch;
        pauseMs = eagerMs;
      } else {
        const woken = await waker.nextWake({ since, signal, timeoutMs: Math.min(pauseMs, pollMs) });
        pauseMs = woken ? eagerMs : Math.min(pauseMs * 2, pollMs);
      }
    } catch (error) {
      if (!(error instanceof PlatformError) || error.code !== 'unavailable') throw error;
      onUnavailable?.(error);
      failures += 1;
      await waker.nextWake({ signal, timeoutMs: Math.min(pollMs * 2 ** failures, longestBackoffMs) });
    }
  }
}
