/** Checking a stream's hash chain. */
import type { LinkedEvent } from '@gantry/contracts/proof';
import { chainHash, chainStart } from './hash-chain.js';
import { isoTime, readRow, selectColumns, type LogRow } from './rows.js';
import { fromPostgres, type Sql } from './sql.js';

/** What checking a stream found. */
export interface ChainReport {
  stream: string;
  /** Events looked at: all, or up to and including the broken one. */
  events: number;
  /** First version that does not fit, null when the chain is whole. */
  brokenAt: number | null;
  /** What is wrong there: a version is missing before it, it does not follow the one before, or its content changed. */
  fault: 'missing' | 'unlinked' | 'altered' | null;
  /**
   * Hex hash of the last good event, null for none. An event cut off the end is only seen by comparing this with a
   * head kept elsewhere.
   */
  head: string | null;
}

const pageSize = 1_000;

/** Recomputes a stream's chain, a page at a time. `table` is the quoted, qualified name of `event_log`. */
export const verifyChain = async (sql: Sql, table: string, stream: string): Promise<ChainReport> => {
  let previous = chainStart;
  let count = 0;
  const report = (fault: ChainReport['fault']): ChainReport => ({
    stream,
    events: fault ? count + 1 : count,
    brokenAt: fault ? count + 1 : null,
    fault,
    head: count === 0 ? null : previous.toString('hex'),
  });
  for (;;) {
    const { rows } = await sql
      .query<LogRow>(
        `select ${selectColumns} from ${table} where stream = $1 and version > $2 order by version limit $3`,
        [stream, count, pageSize],
      )
      .catch((error: unknown) => {
        throw fromPostgres(error);
      });
    for (const row of rows) {
      if (row.version !== count + 1) return report('missing');
      if (row.previous_hash !== previous.toString('hex')) return report('unlinked');
      const hash = chainHash(previous, readRow(row));
      if (row.hash !== hash.toString('hex')) return report('altered');
      previous = hash;
      count += 1;
    }
    if (rows.length < pageSize) return report(null);
  }
};

/** Events of a stream with their links, as much as one message of the bus carries. */
export interface LinkPage {
  events: LinkedEvent[];
  hasMore: boolean;
}

const linkPageEvents = 100;
const linkPageBytes = 400 * 1024;

/**
 * The next page of a stream after a version, each event with its hash and the one before it as they are stored. A time that
 * is finer than the milliseconds which the hash covers is given as it is, so that the chain gives it away. `table` as above.
 */
export const readLinks = async (
  sql: Sql,
  table: string,
  stream: string,
  afterVersion: number,
): Promise<LinkPage> => {
  const { rows } = await sql
    .query<LogRow>(
      `select ${selectColumns}, case when at = date_trunc('milliseconds', at) then ${isoTime('at')} else at::text end as at
       from ${table} where stream = $1 and version > $2 order by version limit $3`,
      [stream, afterVersion, linkPageEvents],
    )
    .catch((error: unknown) => {
      throw fromPostgres(error);
    });
  const events: LinkedEvent[] = [];
  let bytes = 0;
  for (const row of rows) {
    bytes += Buffer.byteLength(row.data) + Buffer.byteLength(row.meta) + 600;
    if (events.length > 0 && bytes > linkPageBytes) break;
    const { position: _position, transactionId: _transaction, ...event } = readRow(row);
    events.push({ ...event, previousHash: row.previous_hash });
  }
  return { events, hasMore: events.length < rows.length || rows.length === linkPageEvents };
};

/** A whole stream with its links: the streams of jobs and records are short. */
export const readAllLinks = async (
  read: (afterVersion: number) => Promise<LinkPage>,
): Promise<LinkedEvent[]> => {
  const events: LinkedEvent[] = [];
  for (;;) {
    const page = await read(events.at(-1)?.streamVersion ?? 0);
    events.push(...page.events);
    if (!page.hasMore) return events;
  }
};
