/** F6: a Postgres that takes no more: read-only, as after a fail-over, or with its disk full. */
import { execFileSync } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '@gantry/testkit/eventually';
import { afterEach, describe, expect, it } from 'vitest';
import { allEvents, ask } from '../e2e/api.js';
import { openPod } from './launcher.js';
import { counting, expectWhole, toldBy } from './oracle.js';
import { healed, readiness, sql } from './parts.js';
import { usualEvent, type Pod } from './pod.js';
import { watch } from './watcher.js';

const some = (count: number): object[] => Array.from({ length: count }, (_, index) => usualEvent(index));

/** Refused in words while it lasts, told by health, and what is stored can be read and watched. */
const expectDegraded = async (pod: Pod, reason: RegExp, check: RegExp): Promise<void> => {
  const before = pod.committed;
  pod.enqueue(some(200));
  const refused = await eventually(async () => {
    const again = await pod.call('chunks', ...lastOf(pod));
    return again.status === 503 ? again : null;
  });
  expect(refused.body).toMatchObject({ code: 'unavailable', message: expect.stringMatching(reason) });
  const health = await eventually(async () => {
    const said = await readiness('ingest');
    return said && !said.ready ? said : null;
  });
  expect(Object.values(health.checks).join('\n')).toMatch(check);
  const late = watch(pod.jobId);
  await eventually(() => late.seen.counters.length >= before, { what: 'what is stored to be shown' });
  expect(late.seen.counters).toEqual(counting(before));
  late.stop();
  const { job } = await ask<{ job: null | object }>('query ($id: ID!) { job(id: $id) { id } }', {
    id: pod.jobId,
  });
  expect(job).toBeNull();
};

/** The next batch again, as a call of its own: for the words of the answer. */
const lastOf = (pod: Pod): [Buffer, Record<string, string>] => {
  const batch = pod.waiting[0]!;
  return [batch.body, batch.headers];
};

describe('a Postgres that has become read-only', () => {
  afterEach(async () => {
    await sql('alter system reset default_transaction_read_only');
    await sql('select pg_reload_conf()');
    await healed();
  });

  it('is told by ingest, which shows what it has and takes the rest afterwards', async () => {
    const pod = await openPod();
    const watcher = watch(pod.jobId);
    for (let batch = 0; batch < 5; batch++) pod.enqueue(some(200));
    await pod.delivered();
    await sql('alter system set default_transaction_read_only = on');
    await sql('select pg_reload_conf()');
    await eventually(async () => (await sql<{ on: string }>('show default_transaction_read_only'))[0]);
    await expectDegraded(pod, /read-only/, /read-only/);
    await sql('alter system reset default_transaction_read_only');
    await sql('select pg_reload_conf()');
    await pod.finish();
    await expectWhole(toldBy(pod), await watcher.done);
  });
});

describe('a Postgres whose disk is full', () => {
  let disk: string | null = null;
  const root = process.getuid?.() === 0 ? [] : ['sudo', '-n'];
  const asRoot = (...args: string[]): void => {
    const [command, ...rest] = [...root, ...args];
    execFileSync(command!, rest);
  };
  const today = async (): Promise<string> =>
    (
      await sql<{ name: string }>(
        `select c.relname as name from pg_inherits join pg_class c on c.oid = inhrelid
         where inhparent = 'ingest.job_chunk'::regclass and pg_get_expr(relpartbound, c.oid) like '%FROM (''' || (now() at time zone 'utc')::date || '''%'`,
      )
    )[0]!.name;

  afterEach(async () => {
    if (!disk) return;
    asRoot('mount', '-o', 'remount,size=4g', disk);
    await sql(`alter table ingest.${await today()} set tablespace pg_default`);
    await sql('drop tablespace if exists small');
    asRoot('umount', '-l', disk);
    rmSync(disk, { recursive: true });
    await healed();
  });

  it('is told by ingest, which shows what it has and takes the rest afterwards', async () => {
    const pod = await openPod();
    const watcher = watch(pod.jobId);
    for (let batch = 0; batch < 5; batch++) pod.enqueue(some(200));
    await pod.delivered();
    // Today's chunks move to a disk of their own that has room for them and little more.
    disk = mkdtempSync(join(tmpdir(), 'gantry-full-'));
    const table = await today();
    const [used] = await sql<{ bytes: string }>(
      `select pg_table_size('ingest.${table}') + 2 * 1024 * 1024 as bytes`,
    );
    asRoot('mount', '-t', 'tmpfs', '-o', `size=${used!.bytes},mode=0755`, 'gantry-full', disk);
    const [data] = await sql<{ folder: string }>('show data_directory').then((rows) =>
      rows.map((row) => ({ folder: (row as unknown as Record<string, string>)['data_directory']! })),
    );
    const owner = statSync(data!.folder);
    if (root.length === 0) chownSync(disk, owner.uid, owner.gid);
    else asRoot('chown', `${owner.uid}:${owner.gid}`, disk);
    await sql(`create tablespace small location '${disk}'`);
    await sql(`alter table ingest.${table} set tablespace small`);
    let refused = false;
    for (let batch = 0; batch < 400 && !refused; batch++) {
      pod.enqueue(some(200));
      await Promise.race([
        pod.delivered(),
        eventually(() => (pod.answers.get(503) ?? 0) > 0, { timeoutMs: 60_000 }).then(() => (refused = true)),
      ]);
    }
    expect(refused).toBe(true);
    await expectDegraded(pod, /space|extend/i, /space|extend/i);
    expect((await allEventsOf(pod)).length).toBe(pod.committed);
    asRoot('mount', '-o', 'remount,size=4g', disk);
    await pod.finish();
    await expectWhole(toldBy(pod), await watcher.done);
    expect([...pod.answers.keys()].filter((status) => ![0, 200, 409, 503].includes(status))).toEqual([]);
  });
});
