/** F6: a Postgres that takes no more: read-only, as after a fail-over, or with its disk full. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '@gantry/testkit/eventually';
import { afterEach, describe, expect, it } from 'vitest';
import { openPod } from './launcher.js';
import { counting, expectWhole, toldBy } from './oracle.js';
import { healed, pause, readiness, sql } from './parts.js';
import { usualEvent, type Pod } from './pod.js';
import { watch } from './watcher.js';

const some = (count: number): object[] => Array.from({ length: count }, (_, index) => usualEvent(index));

/** Refused in words while it lasts, told by health, and what is stored can be read and watched. */
const expectDegraded = async (pod: Pod, reason: RegExp): Promise<void> => {
  pod.enqueue(some(200));
  const refused = await eventually(() => (pod.last?.status === 503 ? pod.last : null));
  const before = pod.committed;
  expect(refused.body).toMatchObject({ code: 'unavailable', message: expect.stringMatching(reason) });
  const health = await eventually(async () => {
    const said = await readiness('ingest');
    return said && !said.ready ? said : null;
  });
  expect(Object.values(health.checks).join('\n')).toMatch(reason);
  const late = watch(pod.jobId);
  await eventually(() => late.seen.counters.length >= before, { what: 'what is stored to be shown' });
  expect(late.seen.counters).toEqual(counting(before));
  late.stop();
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
    await expectDegraded(pod, /read-only/);
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
  let table = '';

  afterEach(async () => {
    if (!disk) return;
    asRoot('mount', '-o', 'remount,size=4g', disk);
    await sql(`alter table ${table} set tablespace pg_default`);
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
    // The partition that the chunks go to moves to a disk of its own, which has room for it and little more.
    const [partition] = await sql<{ name: string; bytes: string }>(
      `select tableoid::regclass::text as name, pg_table_size(tableoid) + 2 * 1024 * 1024 as bytes
       from ingest.job_chunk where job_id = $1 limit 1`,
      [pod.jobId],
    );
    table = partition!.name;
    disk = mkdtempSync(join(tmpdir(), 'gantry-full-'));
    asRoot('mount', '-t', 'tmpfs', '-o', `size=${partition!.bytes},mode=0755`, 'gantry-full', disk);
    const [data] = await sql<{ data_directory: string }>('show data_directory');
    const owner = statSync(data!.data_directory);
    asRoot('chown', `${owner.uid}:${owner.gid}`, disk);
    await sql(`create tablespace small location '${disk}'`);
    await sql(`alter table ${table} set tablespace small`);
    while (!pod.answers.has(503)) {
      // Random: it stays as large as it is.
      pod.enqueue([{ stdout: randomBytes(192 * 1024).toString('base64') }]);
      await pause(20);
    }
    await expectDegraded(pod, /No space|extend/);
    asRoot('mount', '-o', 'remount,size=4g', disk);
    await pod.finish();
    await expectWhole(toldBy(pod), await watcher.done);
    expect([...pod.answers.keys()].filter((status) => ![0, 200, 409, 503].includes(status))).toEqual([]);
  });
});
