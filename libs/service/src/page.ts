/** Pages over SQL with cursors that stay right while rows come and go: a cursor is the sort key of its row. */
import type { PageOf, PageRequest } from '@gantry/contracts/command';
import { PlatformError } from '@gantry/contracts/errors';
import { fromPostgres, type Sql } from '@gantry/eventlog/sql';

/** A place in an order, as opaque text. */
export const encodeCursor = (values: readonly string[]): string =>
  Buffer.from(JSON.stringify(values)).toString('base64url');

/** The values of a cursor. Throws `invalid` for text that is no cursor of `count` values. */
export const decodeCursor = (cursor: string, count: number): string[] => {
  try {
    const values: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    if (
      Array.isArray(values) &&
      values.length === count &&
      values.every((value) => typeof value === 'string')
    )
      return values as string[];
  } catch {
    // Said below.
  }
  throw new PlatformError(
    'invalid',
    '`after` is not a cursor that was given out: take it from an earlier page.',
  );
};

/** A column that rows are ordered by; never null. */
export interface SortKey {
  column: string;
  /** Postgres type, to read the cursor's text back. */
  type: 'timestamptz' | 'uuid' | 'text' | 'bigint' | 'integer';
}

/** What to page over. Names and conditions are SQL of the program, values go into `params`. */
export interface PageQuery<T> {
  /** Qualified table or view: `templates.project`. */
  from: string;
  /** Columns to select; `*` when left out. */
  columns?: string;
  /** Conditions, all of which must hold, with `$1`... from `params`. */
  where?: readonly string[];
  params?: readonly unknown[];
  /** Together unique; all in one direction. */
  keys: readonly SortKey[];
  descending?: boolean;
  request: PageRequest;
  // Rows are whatever the table holds.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  node(row: any): T;
}

/** Oldest first; `descending` for newest first. */
export const byCreation: readonly SortKey[] = [
  { column: 'created_at', type: 'timestamptz' },
  { column: 'id', type: 'uuid' },
];

/** Reads one page and the total count of what the conditions let through. Throws `invalid` for a foreign cursor. */
export const readPage = async <T>(sql: Sql, query: PageQuery<T>): Promise<PageOf<T>> => {
  const { from, columns = '*', where = [], keys, request } = query;
  const params = [...(query.params ?? [])];
  const conditions = [...where];
  const direction = query.descending ? 'desc' : 'asc';
  if (request.after) {
    const places = decodeCursor(request.after, keys.length).map(
      (value, index) => `$${params.push(value)}::${keys[index]!.type}`,
    );
    conditions.push(
      `(${keys.map((key) => key.column).join(', ')}) ${query.descending ? '<' : '>'} (${places.join(', ')})`,
    );
  }
  const cursorColumns = keys.map((key, index) => `${key.column}::text as cursor_${index}`).join(', ');
  const order = keys.map((key) => `${key.column} ${direction}`).join(', ');
  const read = sql.query(
    `select ${columns}, ${cursorColumns} from ${from} ${whereOf(conditions)} order by ${order} limit $${params.push(request.first + 1)}`,
    params,
  );
  const count = sql.query<{ count: string }>(`select count(*) as count from ${from} ${whereOf(where)}`, [
    ...(query.params ?? []),
  ]);
  const [{ rows }, counted] = await Promise.all([read, count]).catch((error: unknown) => {
    const ours = fromPostgres(error);
    // A cursor that decodes, and holds what the column's type does not: made up.
    if (request.after && ours instanceof PlatformError && ours.code === 'invalid')
      decodeCursor('', keys.length);
    throw ours;
  });
  const shown = rows.slice(0, request.first);
  return {
    items: shown.map((row) => ({
      cursor: encodeCursor(keys.map((_, index) => row[`cursor_${index}`] as string)),
      node: query.node(row),
    })),
    hasNextPage: rows.length > request.first,
    totalCount: Number(counted.rows[0]?.count ?? 0),
  };
};

const whereOf = (conditions: readonly string[]): string =>
  conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`;
