import { makeEvent, event, parseEvent } from '@gantry/contracts/envelope';
import type { StoredEvent } from '@gantry/contracts/envelope';
import { someMeta } from '@gantry/testkit/event-log-contract';
import { eventually } from '@gantry/testkit/eventually';
import { freshDatabase, type FreshDatabase } from '@gantry/testkit/postgres';
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createEventLog, type EventLog } from './log.js';
import { provision } from './migrate.js';
import { createProjection, type Projection, type ProjectionSettings } from './projection.js';
import { openPool, type Sql } from './sql.js';

const Deposited = event('account.deposited', 1, z.object({ amount: z.number() }));
const deposited = (amount: number, id: string = randomUUID()) => makeEvent(Deposited, id, { amount });

let database: FreshDatabase;
let pool: pg.Pool;
let owner: pg.Pool;
let log: EventLog;
let account: string;
let running: AbortController;
let runs: Promise<void>[];

beforeAll(async () => {
  database = await freshDatabase();
  const { adminUrl, name, rolePrefix } = database;
  owner = openPool(adminUrl);
  const urls = await provision({
    adminUrl,
    database: name,
    rolePrefix,
    services: [{ name: 'bank', password: 'secret', migrationsDir: null }],
  });
  // After the provisioning: a table made later must be writable for the service too.
  await owner.query(
    'create table bank.balance (account text primary key, amount integer not null, events integer not null)',
  );
  pool = openPool(urls['bank']!, { max: 20 });
  log = createEventLog({ pool, schema: 'bank' });
});
afterAll(async () => {
  await Promise.all([pool.end(), owner.end()]);
  await database.drop();
});
beforeEach(() => {
  account = `account-${randomUUID()}`;
  running = new AbortController();
  runs = [];
});
afterEach(async () => {
  running.abort();
  await Promise.allSettled(runs);
});

const add = async (stored: StoredEvent, sql: Sql): Promise<void> => {
  const deposit = parseEvent({ Deposited }, stored);
  if (!deposit) return;
  await sql.query(
    `insert into bank.balance values ($1, $2, 1)
     on conflict (account) do update set amount = balance.amount + $2, events = balance.events + 1`,
    [stored.stream, deposit.data.amount],
  );
};
const projection = (settings: Partial<ProjectionSettings> = {}): Projection =>
  createProjection({ log, pool, name: 'balance', tables: ['balance'], apply: add, ...settings });
const start = (...projections: Projection[]): void => {
  for (const one of projections) {
    const run = one.run(running.signal);
    run.catch(() => undefined);
    runs.push(run);
  }
};
const deposit = async (...amounts: number[]): Promise<StoredEvent> => {
  const version = (await log.readStream(account)).length;
  return (
    await log.append(
      account,
      version,
      amounts.map((amount) => deposited(amount)),
      someMeta,
    )
  ).at(-1)!;
};
const balance = async (): Promise<object | undefined> =>
  (await pool.query<object>('select amount, events from bank.balance where account = $1', [account])).rows[0];
const everything = async (): Promise<object[]> =>
  (await pool.query<object>('select * from bank.balance order by account')).rows;

describe('a running projection', () => {
  it('lets a writer wait for its own event', async () => {
    const one = projection();
    start(one);
    const last = await deposit(1, 2, 3);
    await one.caughtUp(last, { timeoutMs: 20_000 });
    expect(await balance()).toEqual({ amount: 6, events: 3 });
    expect(await one.position()).toEqual({ transactionId: last.transactionId, position: last.position });
  });

  it('applies every event once when several replicas run it', async () => {
    const replicas = Array.from({ length: 4 }, () => projection({ batchSize: 3 }));
    start(...replicas);
    let last: StoredEvent | undefined;
    for (let n = 0; n < 30; n += 1) last = await deposit(1, 1);
    await Promise.all(replicas.map((replica) => replica.caughtUp(last!, { timeoutMs: 20_000 })));
    expect(await balance()).toEqual({ amount: 60, events: 60 });
  });

  it('hands over only the types it wants, and still moves on', async () => {
    const one = projection({
      name: 'of_no_type',
      types: ['account.closed'],
      apply: () => Promise.reject(new Error('not wanted')),
    });
    start(one);
    await one.caughtUp(await deposit(1), { timeoutMs: 20_000 });
    expect(one.status()).toMatchObject({ state: 'running', failure: null });
  });

  it('says so when it does not arrive in time', async () => {
    await expect(
      projection().caughtUp({ transactionId: '18446744073709551615', position: '1' }, { timeoutMs: 30 }),
    ).rejects.toMatchObject({
      code: 'unavailable',
    });
  });

  it('goes on after its connections were cut', async () => {
    const one = projection();
    start(one);
    await one.caughtUp(await deposit(1), { timeoutMs: 20_000 });
    await owner.query(`select pg_terminate_backend(pid) from pg_stat_activity where usename = $1`, [
      `${database.rolePrefix}bank`,
    ]);
    const last = await eventually(() => deposit(2), { what: 'a deposit through a new connection' });
    await one.caughtUp(last, { timeoutMs: 20_000 });
    expect(await balance()).toEqual({ amount: 3, events: 2 });
  });
});

describe('rows and checkpoint', () => {
  it('are written together or not at all', async () => {
    const before = projection();
    start(before);
    await before.caughtUp(await deposit(1), { timeoutMs: 20_000 });
    running.abort();
    await Promise.all(runs);
    const checkpoint = await before.position();

    // The second event of the batch fails after the first has written its row.
    const failing = projection({
      apply: async (stored, sql) => {
        await add(stored, sql);
        if ((stored.data as { amount: number }).amount === 666) throw new Error('cannot');
      },
    });
    await deposit(10, 666);
    await expect(failing.run(new AbortController().signal)).rejects.toMatchObject({
      code: 'defect',
      details: { projection: 'balance', stream: account, streamVersion: 3, type: 'account.deposited' },
    });
    expect(failing.status()).toMatchObject({ state: 'stopped', failure: { code: 'defect' } });
    expect(await failing.position()).toEqual(checkpoint);
    expect(await balance()).toEqual({ amount: 1, events: 1 });

    running = new AbortController();
    const after = projection();
    start(after);
    await after.caughtUp(await deposit(100), { timeoutMs: 20_000 });
    expect(await balance()).toEqual({ amount: 777, events: 4 });
  });
});

describe('an event newer than this build', () => {
  it('stops the projection before it, and is not skipped', async () => {
    const newer = { ...deposited(5), type: 'account.renamed', version: 2 };
    const Renamed = event('account.renamed', 1, z.object({ amount: z.number() }));
    const one = projection({
      name: 'older_build',
      tables: [],
      apply: async (stored) => void parseEvent({ Deposited, Renamed }, stored),
    });
    const [stored] = await log.append(account, 0, [newer], someMeta);
    await deposit(1);
    await expect(one.run(new AbortController().signal)).rejects.toMatchObject({
      code: 'unavailable',
      details: { reason: 'unknown_event', projection: 'older_build', stream: account },
    });
    await expect(one.caughtUp(stored!, { timeoutMs: 60_000 })).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('a rebuild', () => {
  it('gives the same rows, and readers see the old ones until it is done', async () => {
    const one = projection();
    start(one);
    await one.caughtUp(await deposit(1, 2), { timeoutMs: 20_000 });
    const rows = await everything();
    expect(rows.length).toBeGreaterThan(2);
    await pool.query('update bank.balance set amount = -1 where account = $1', [account]);
    const spoilt = await everything();

    const seen: object[][] = [];
    const rebuilder = projection({
      batchSize: 7,
      apply: async (stored, sql) => {
        await add(stored, sql);
        if (seen.length < 3) seen.push(await everything());
      },
    });
    await rebuilder.rebuild();
    expect(seen).toEqual([spoilt, spoilt, spoilt]);
    expect(await everything()).toEqual(rows);

    await one.caughtUp(await deposit(4), { timeoutMs: 20_000 });
    expect(await balance()).toEqual({ amount: 7, events: 3 });
  });

  it('leaves everything as it was when an event cannot be applied', async () => {
    const rows = await everything();
    const checkpoint = await projection().position();
    await expect(
      projection({ apply: () => Promise.reject(new Error('no')) }).rebuild(),
    ).rejects.toMatchObject({ code: 'defect' });
    expect(await everything()).toEqual(rows);
    expect(await projection().position()).toEqual(checkpoint);
  });
});
