import { freshDatabase, type FreshDatabase } from '@gantry/testkit/postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requireDurable } from './database.js';

let database: FreshDatabase;

beforeAll(async () => {
  database = await freshDatabase();
});
afterAll(() => database.drop());

/** Asks in a session of its own, begun now. */
const ask = async (allowUnsafe: boolean): Promise<void> => {
  const pool = new pg.Pool({ connectionString: database.url, max: 1 });
  await requireDurable(pool, allowUnsafe).finally(() => pool.end());
};
const asAdmin = async (text: string): Promise<void> => {
  const admin = new pg.Client({ connectionString: database.adminUrl });
  await admin.connect();
  await admin.query(text);
  await admin.end();
};

// The tests' server runs without fsync.
describe('a Postgres that may lose what it has committed', () => {
  it('is refused, by the names of what is off', async () => {
    await expect(ask(false)).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('fsync = off'),
      details: { settings: ['fsync', 'full_page_writes'] },
    });
  });
  it.each([
    ['role', 'user', 'role $role'],
    ['database', 'database', 'database $database'],
  ])('is refused for what is set for the %s alone', async (_what, source, on) => {
    const object = on.replace('$role', new URL(database.url).username).replace('$database', database.name);
    await asAdmin(`alter ${object} set synchronous_commit = off`);
    await expect(ask(false)).rejects.toMatchObject({
      message: expect.stringContaining(`synchronous_commit = off (set by: ${source})`),
      details: { settings: ['fsync', 'full_page_writes', 'synchronous_commit'] },
    });
    await asAdmin(`alter ${object} reset synchronous_commit`);
  });
  it('is taken by whoever says so', async () => {
    await expect(ask(true)).resolves.toBeUndefined();
  });
});
