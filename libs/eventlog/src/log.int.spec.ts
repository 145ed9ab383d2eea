import { eventLogContract, anEvent, someMeta, type LogSubject } from '@gantry/testkit/event-log-contract';
import { freshDatabase, type FreshDatabase } from '@gantry/testkit/postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Checkpoint } from './checkpoint.js';
import { createEventLog, type EventLog } from './log.js';
import { provision } from './migrate.js';
import { openPool } from './sql.js';

interface Setup {
  database: FreshDatabase;
  service: pg.Pool;
  owner: pg.Pool;
}

const setUp = async (): Promise<Setup> => {
  const database = await freshDatabase();
  const { adminUrl, name, rolePrefix } = database;
  const urls = await provision({
    adminUrl,
    database: name,
    rolePrefix,
    services: [{ name: 'testing', password: 'x y/ü', migrationsDir: null }],
  });
  const [service, owner] = [urls['testing']!, adminUrl].map((url) =>
    openPool(`${url}?options=-c%20search_path%3Dtesting`, { max: 20 }),
  );
  return { database, service: service!, owner: owner! };
};

const tearDown = async ({ database, service, owner }: Setup): Promise<void> => {
  await Promise.all([service.end(), owner.end()]);
  await database.drop();
};

eventLogContract('the Postgres event log', async (): Promise<LogSubject> => {
  const setup = await setUp();
  const { service, owner } = setup;
  const open = (): EventLog => createEventLog({ pool: service, schema: 'testing' });
  return {
    open,
    hold: async () => {
      const client = await service.connect();
      await client.query('begin');
      await client.query('select pg_current_xact_id()');
      let isOpen = true;
      const end = async (how: 'commit' | 'rollback'): Promise<void> => {
        if (!isOpen) return;
        isOpen = false;
        await client.query(how);
        client.release();
      };
      return {
        append: (...args) => open().appendIn(client, ...args),
        commit: () => end('commit'),
        end: () => end('rollback'),
      };
    },
    asService: (sql, params) => service.query(sql, params),
    asOwner: (sql, params) => owner.query(sql, params),
    dispose: () => tearDown(setup),
  };
});

describe('an append with work of its own', () => {
  let setup: Setup;
  let log: EventLog;
  beforeAll(async () => {
    setup = await setUp();
    log = createEventLog({ pool: setup.service, schema: 'testing' });
    await setup.owner.query('create table testing.note (text text)');
  });
  afterAll(() => tearDown(setup));

  const notes = async (): Promise<string[]> =>
    (await setup.service.query<{ text: string }>('select text from testing.note order by text')).rows.map(
      ({ text }) => text,
    );

  it('commits both', async () => {
    await log.append('note-1', 0, [anEvent()], someMeta, {
      inTransaction: async (sql, stored) =>
        void (await sql.query('insert into testing.note values ($1)', [stored[0]!.stream])),
    });
    expect(await notes()).toEqual(['note-1']);
  });

  it('keeps neither when the work fails', async () => {
    const failing = log.append('note-2', 0, [anEvent()], someMeta, {
      inTransaction: async (sql) => {
        await sql.query(`insert into testing.note values ('note-2')`);
        throw new Error('no');
      },
    });
    await expect(failing).rejects.toThrow('no');
    expect(await notes()).toEqual(['note-1']);
    expect(await log.readStream('note-2')).toEqual([]);
  });

  it('does not do the work again when the append is a repetition', async () => {
    const [event] = await log.readStream('note-1');
    await log.append('note-1', 0, [event!], someMeta, {
      inTransaction: async (sql) => void (await sql.query(`insert into testing.note values ('again')`)),
    });
    expect(await notes()).toEqual(['note-1']);
  });

  it('says that Postgres is away, as unavailable', async () => {
    const pool = openPool('postgresql://nobody:nothing@127.0.0.1:1/none');
    await expect(createEventLog({ pool, schema: 'testing' }).readStream('x')).rejects.toMatchObject({
      code: 'unavailable',
    });
    await pool.end();
  });
});

describe('a transaction that stays open', () => {
  let setup: Setup;
  let log: EventLog;
  let place: Checkpoint;
  beforeAll(async () => {
    setup = await setUp();
    log = createEventLog({ pool: setup.service, schema: 'testing' });
    place = await log.last();
  });
  afterAll(() => tearDown(setup));

  const open = async (url: string): Promise<{ end(): Promise<void> }> => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query('begin; create table held (one int)');
    return {
      end: async () => {
        await client.query('rollback');
        await client.end();
      },
    };
  };

  /** Streams of what a tail gives until the first batch, or within half a second. */
  const next = async (): Promise<string[]> => {
    for await (const batch of log.tail(place, { signal: AbortSignal.timeout(500) }))
      return batch.map(({ stream }) => stream);
    return [];
  };

  it('in another database of the cluster holds no tail back', async () => {
    const other = new URL(setup.database.adminUrl);
    other.pathname = '/postgres';
    const held = await open(other.href);
    await log.append('seen', 0, [anEvent()], someMeta);
    expect(await next()).toEqual(['seen']);
    await held.end();
  });

  it('in this database does', async () => {
    const held = await open(setup.database.adminUrl);
    await log.append('waits', 0, [anEvent()], someMeta);
    expect(await next()).toEqual(['seen']);
    await held.end();
    expect(await next()).toEqual(['seen', 'waits']);
  });
});
