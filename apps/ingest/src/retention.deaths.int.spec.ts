import { createHash } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freshDatabase } from '@gantry/testkit/postgres';
import pg from 'pg';
import { v7 as newId } from 'uuid';
import { afterAll, describe, expect, it } from 'vitest';
import { addDays } from './domain/retention.js';
import { startRetentionWorld } from './testing/retention-world.js';
import { meta } from './testing/world.js';

const database = await freshDatabase();
const home = await mkdtemp(join(tmpdir(), 'gantry-retention-'));
const world = await startRetentionWorld(database, home);
const { url, ingestWith, rule, organization, runJob, stdout, describeJob, sweepOn, tables, log } = world;

afterAll(async () => {
  await world.stop();
  await database.drop();
  await rm(home, { recursive: true, force: true });
});

const never = new AbortController().signal;

describe('a sweep that dies', () => {
  it('at any statement is taken up by the next one, and loses nothing', async () => {
    let finished = false;
    let deaths = 0;
    for (let statement = 1; !finished; statement += 1) {
      const { id, key } = await organization();
      const template = newId();
      const [going, staying] = [await runJob(id, 40), await runJob(id, 4, template)];
      const before = [await stdout(going), await stdout(staying)];
      await rule(id, 3_000, template);
      const dying = dyingPool(statement);
      const swept = await ingestWith({}, dying.pool)
        .retention.sweep(meta, never, key)
        .catch(() => null);
      await dying.end();
      finished = !dying.died();
      deaths += finished ? 0 : 1;
      // Whatever it left: the one that goes is whole, or dropped with a whole archive; the one that stays is whole.
      const shown = await stdout(going).catch(
        (error: { details: { reason: string } }) => error.details.reason,
      );
      const { archive: archived, droppedAt } = await describeJob(going);
      expect(shown).toBe(droppedAt ? 'record_dropped' : before[0]);
      if (droppedAt)
        expect(
          createHash('sha256')
            .update(await readFile(fileURLToPath(archived!.location)))
            .digest('hex'),
        ).toBe(archived!.sha256);
      expect(await stdout(staying)).toBe(before[1]);
      await sweepOn(addDays(key, 1));
      expect([await tables(key), await log(key)]).toEqual([
        0,
        ['retention.partition_archived', 'retention.partition_dropped'],
      ]);
      expect(await stdout(staying)).toBe(before[1]);
      expect((await describeJob(going)).droppedAt).not.toBe(null);
      if (finished) expect(swept?.dropped).toContain(key);
      await rule(id, 0, template);
    }
    expect(deaths).toBeGreaterThan(20);
    expect(
      (await readdir(join(home, 'archive'), { recursive: true })).filter((name) => name.includes('partial')),
    ).toEqual([]);
  }, 240_000);
});

/** A pool of the service's own role whose connections all break at the n-th statement, and stay broken. */
const dyingPool = (statement: number) => {
  const real = new pg.Pool({ connectionString: url });
  real.on('error', () => undefined);
  let left = statement;
  const dead = (): boolean => {
    left -= 1;
    return left <= 0;
  };
  const lost = (): Error =>
    Object.assign(new Error('Connection terminated unexpectedly'), { code: 'ECONNRESET' });
  const guard = <T extends { query: (...args: never[]) => unknown }>(target: T, broken: () => void): T =>
    new Proxy(target, {
      get: (object, name) => {
        const value = Reflect.get(object, name) as unknown;
        if (name === 'query')
          return (...args: never[]) => {
            if (!dead()) return object.query(...args);
            broken();
            return Promise.reject(lost());
          };
        if (name === 'connect')
          return async () => {
            const client = await real.connect();
            // As a server that is gone: what the transaction had not committed is rolled back.
            return guard(
              client,
              () =>
                void (
                  client as unknown as { connection: { stream: { destroy(): void } } }
                ).connection.stream.destroy(),
            );
          };
        return typeof value === 'function' ? (value.bind(object) as unknown) : value;
      },
    });
  return { pool: guard(real, () => undefined), died: () => left <= 0, end: () => real.end() };
};
