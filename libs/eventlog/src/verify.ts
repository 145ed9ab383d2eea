/** Checking a stream's hash chain. */
import { chainHash, chainStart } from './hash-chain.js';
import { readRow, selectColumns, type LogRow } from './rows.js';
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
