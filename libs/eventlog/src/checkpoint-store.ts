/** Where a projection keeps its checkpoint: `projection_checkpoint`, one row per projection. */
import { logStart, type Checkpoint } from './checkpoint.js';
import { fromPostgres, identifier, type Sql } from './sql.js';

/** One projection's row. */
export interface CheckpointStore {
  /** The stored checkpoint, the log's start when there is none. */
  read(sql: Sql): Promise<Checkpoint>;
  /** The same, made when missing, and locked until the transaction ends. */
  lock(sql: Sql): Promise<Checkpoint>;
  /** Moves it; the row must be there. */
  write(sql: Sql, to: Checkpoint): Promise<void>;
}

/** The row of projection `name` in a schema. */
export const checkpointStore = (schema: string, name: string): CheckpointStore => {
  const table = `${identifier(schema)}.projection_checkpoint`;
  const select = async (sql: Sql, lock: string): Promise<Checkpoint> => {
    const { rows } = await sql
      .query<{ transactionId: string; position: string }>(
        `select transaction_id::text as "transactionId", position::text as position from ${table} where name = $1 ${lock}`,
        [name],
      )
      .catch((error: unknown) => {
        throw fromPostgres(error);
      });
    return rows[0] ?? logStart;
  };
  return {
    read: (sql) => select(sql, ''),
    lock: async (sql) => {
      await sql.query(`insert into ${table} (name) values ($1) on conflict (name) do nothing`, [name]);
      return select(sql, 'for update');
    },
    write: async (sql, to) => {
      await sql.query(
        `update ${table} set transaction_id = $2::xid8, position = $3::bigint, updated_at = now() where name = $1`,
        [name, to.transactionId, to.position],
      );
    },
  };
};
