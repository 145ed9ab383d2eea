import { freshDatabase, type FreshDatabase } from '@gantry/testkit/postgres';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { copyAll, createRowWriter, type RowWriter } from './copy-binary.js';

let database: FreshDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await freshDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query('create table one (number integer primary key); create table two (bytes bytea)');
});
afterAll(async () => {
  await client.end();
  await database.drop();
});
beforeEach(() => client.query('truncate one, two'));

const numbers = (...values: number[]): RowWriter => {
  const rows = createRowWriter();
  for (const value of values) rows.row(1).int4(value);
  return rows;
};
const bytes = (...values: Buffer[]): RowWriter => {
  const rows = createRowWriter();
  for (const value of values) rows.row(1).bytes(value);
  return rows;
};
const counts = async (): Promise<unknown> =>
  (
    await client.query(
      'select (select count(*)::int from one) as one, (select count(*)::int from two) as two, (select sum(length(bytes))::int from two) as length',
    )
  ).rows[0];

describe('rows for several tables', () => {
  it('go in one round trip, however large, and the connection serves on', async () => {
    const large = Buffer.alloc(3_000_000, 7);
    await copyAll(client, [
      { table: 'one', columns: ['number'], rows: numbers(1, 2, 3) },
      { table: 'one', columns: ['number'], rows: numbers() },
      { table: 'two', columns: ['bytes'], rows: bytes(large, large) },
    ]);
    expect(await counts()).toEqual({ one: 3, two: 2, length: 6_000_000 });
    await copyAll(client, []);
  });
  it('fail together when one of them is refused, and the connection serves on', async () => {
    const large = bytes(Buffer.alloc(3_000_000, 7));
    for (const copies of [
      [
        { table: 'one', columns: ['number'], rows: numbers(1, 1) },
        { table: 'two', columns: ['bytes'], rows: large },
      ],
      [
        { table: 'two', columns: ['bytes'], rows: large },
        { table: 'one', columns: ['number'], rows: numbers(2, 2) },
      ],
      [
        { table: 'nowhere', columns: ['number'], rows: numbers(1) },
        { table: 'two', columns: ['bytes'], rows: large },
      ],
    ]) {
      await client.query('begin');
      await expect(copyAll(client, copies)).rejects.toBeInstanceOf(pg.DatabaseError);
      await client.query('rollback');
      expect(await counts()).toEqual({ one: 0, two: 0, length: null });
    }
  });
  it('fail when the connection breaks', async () => {
    const other = new pg.Client({ connectionString: database.url });
    other.on('error', () => undefined);
    await other.connect();
    const { rows } = await other.query<{ pid: number }>('select pg_backend_pid() as pid');
    await client.query('begin; lock table one');
    const lost = copyAll(other, [{ table: 'one', columns: ['number'], rows: numbers(9) }]);
    const refused = expect(lost).rejects.toThrow();
    await client.query('select pg_terminate_backend($1)', [rows[0]!.pid]);
    await refused;
    await client.query('rollback');
    expect(await counts()).toEqual({ one: 0, two: 0, length: null });
  });
});
