/**
 * A creating command given twice is carried out once. Needs in the service's migrations:
 * `create table :SCHEMA.idempotency_key (scope text, key text, id uuid not null, primary key (scope, key));`
 */
import { PlatformError } from '@gantry/contracts/errors';
import type { EventLog } from '@gantry/eventlog/log';
import { identifier, withTransaction, type Sql } from '@gantry/eventlog/sql';
import type pg from 'pg';
import { newId } from './context.js';

/** Which call is meant. */
export interface OnceSettings {
  /** Within which the key is unique: command and person, `project.create:<userId>`. */
  scope: string;
  /** Chosen by the client; without one every call creates. */
  key?: string | null;
  /** Id for the new thing; made when left out. */
  id?: string;
}

/**
 * Takes a unique key (a name within its organization) for `id`, in the transaction that appends: read models follow
 * later and cannot decide a race. Kept in the table `idempotency_key` as well. Taken by the same id again is fine.
 * Throws `conflict` with `sentence` when another id has it.
 */
export const claim = async (
  sql: Sql,
  log: EventLog,
  { scope, key, id, sentence }: { scope: string; key: string; id: string; sentence: string },
): Promise<void> => {
  const first = await reserve(sql, `${identifier(log.schema)}.idempotency_key`, scope, key, id);
  if (first !== null && first !== id)
    throw new PlatformError('conflict', sentence, { details: { scope, key } });
};

/**
 * Runs `create` in a transaction, once per scope and key; the key is kept in the same transaction. Append in it with
 * `kit.log.appendIn(sql, ...)`. A later call with the same key gets the first id and `created: false`; one that runs at
 * the same time waits for the first. Checks that the first call would fail the second time (is the name free?) belong into
 * `create`; for unique names see `claim`. Throws what `create` throws (then the key is free again).
 */
export const once = async (
  { pool, log }: { pool: pg.Pool; log: EventLog | null },
  settings: OnceSettings,
  create: (sql: Sql, id: string) => Promise<unknown>,
): Promise<{ id: string; created: boolean }> => {
  const id = settings.id ?? newId();
  const outcome = await withTransaction(pool, async (sql) => {
    if (settings.key !== null && settings.key !== undefined) {
      const first = await reserve(
        sql,
        `${identifier(log!.schema)}.idempotency_key`,
        settings.scope,
        settings.key,
        id,
      );
      if (first !== null) return { id: first, created: false };
    }
    await create(sql, id);
    return { id, created: true };
  });
  log?.wake();
  return outcome;
};

/** Null when the key is ours now, else the id it stands for already. */
const reserve = async (
  sql: Sql,
  table: string,
  scope: string,
  key: string,
  id: string,
): Promise<string | null> => {
  // The insert waits for a transaction that holds the same key; what it committed is seen by the next statement.
  const { rows } = await sql.query(
    `insert into ${table} (scope, key, id) values ($1, $2, $3) on conflict do nothing returning id`,
    [scope, key, id],
  );
  if (rows.length > 0) return null;
  const found = await sql.query<{ id: string }>(
    `select id::text as id from ${table} where scope = $1 and key = $2`,
    [scope, key],
  );
  return found.rows[0]!.id;
};
