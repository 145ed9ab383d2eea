import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabase, startPostgres, type FreshDatabase } from './postgres.js';

const ask = async <Row extends object>(url: string, sql: string): Promise<Row[]> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
};

describe('a fresh database', () => {
  let database: FreshDatabase;
  beforeAll(async () => void (database = await freshDatabase()));
  afterAll(() => database.drop());

  it('is empty, and owned by a role that is nothing else', async () => {
    const rows = await ask(
      database.url,
      `select current_database() as name, rolsuper from pg_roles where rolname = current_user`,
    );
    expect(rows).toEqual([{ name: database.name, rolsuper: false }]);
    await ask(database.url, 'create schema mine');
  });

  it('is on a server old and new enough', async () => {
    const [row] = await ask<{ version: string }>(
      database.adminUrl,
      `select current_setting('server_version_num') as version`,
    );
    expect(Number(row?.version)).toBeGreaterThanOrEqual(150_000);
  });

  it('goes with its roles, whoever is connected', async () => {
    const other = await freshDatabase();
    const client = new pg.Client({ connectionString: other.url });
    client.on('error', () => undefined);
    await client.connect();
    await ask(other.adminUrl, `create role ${other.rolePrefix}extra`);
    await other.drop();
    expect(
      await ask(database.adminUrl, `select 1 from pg_roles where starts_with(rolname, '${other.name}')`),
    ).toEqual([]);
    expect(await ask(database.adminUrl, `select 1 from pg_database where datname = '${other.name}'`)).toEqual(
      [],
    );
    await client.end().catch(() => undefined);
  });
});

describe('a server of its own', () => {
  it('is gone after stop', async () => {
    const { adminUrl, stop } = await startPostgres();
    expect(await ask(adminUrl, 'select 1 as one')).toEqual([{ one: 1 }]);
    await stop();
    await stop();
    await expect(ask(adminUrl, 'select 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});
