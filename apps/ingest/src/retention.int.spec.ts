import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { ArchiveManifest } from '@gantry/contracts/proof';
import { provision } from '@gantry/eventlog/migrate';
import { testPrincipal } from '@gantry/service/testing';
import { freshDatabase } from '@gantry/testkit/postgres';
import pg from 'pg';
import { v7 as newId } from 'uuid';
import { afterAll, describe, expect, it } from 'vitest';
import { addDays, partitionFor } from './domain/retention.js';
import type { Archive } from './retention.port.js';
import { startRetentionWorld, superuser, type TestJob } from './testing/retention-world.js';
import { meta, migrations } from './testing/world.js';

const database = await freshDatabase();
const home = await mkdtemp(join(tmpdir(), 'gantry-retention-'));
const world = await startRetentionWorld(database, home);
const {
  admin,
  pool,
  archive,
  ingest,
  ingestWith,
  today,
  rule,
  organization,
  open,
  send,
  end,
  runJob,
  read,
  stdout,
  describeJob,
  dayOf,
  rowsIn,
  sweepOn,
  tables,
  log,
} = world;

afterAll(async () => {
  await world.stop();
  await database.drop();
  await rm(home, { recursive: true, force: true });
});

const never = new AbortController().signal;

describe('a job whose days are over', () => {
  it('is archived byte for byte, dropped with its partition, and says so', async () => {
    const { id, key } = await organization();
    const jobs = [await runJob(id, 50), await runJob(id, 3)];
    const before = await Promise.all(jobs.map(stdout));
    expect(await dayOf(jobs[0]!)).toBe(key);
    expect(await sweepOn(addDays(key, -3))).not.toMatchObject({ dropped: expect.arrayContaining([key]) });
    expect(await stdout(jobs[0]!)).toBe(before[0]);

    expect(await sweepOn(key)).toMatchObject({
      dropped: expect.arrayContaining([key]),
      removed: expect.arrayContaining([key]),
      postponed: [],
    });
    expect(await tables(key)).toBe(0);
    expect(await log(key)).toEqual(['retention.partition_archived', 'retention.partition_dropped']);
    for (const [index, job] of jobs.entries()) {
      const { archive: archived, ...rest } = await describeJob(job);
      expect(rest).toMatchObject({
        droppedBy: expect.stringMatching(/by the rule of its organization/),
        droppedAt: expect.any(String),
      });
      const tar = await readFile(fileURLToPath(archived!.location));
      expect(createHash('sha256').update(tar).digest('hex')).toBe(archived!.sha256);
      await expect(read(job)).rejects.toMatchObject({
        code: 'refused',
        details: { reason: 'record_dropped', archive: { sha256: archived!.sha256 } },
        message: expect.stringContaining(archived!.location),
      });
      await expect(stdout(job)).rejects.toMatchObject({ code: 'refused' });
      expect((await ingest.queries.hosts({ jobId: job.jobId, first: 10 }, superuser)).items.length).toBe(3);
      // What tar and gzip of any machine make of it.
      const folder = join(home, job.jobId);
      await mkdir(folder);
      execFileSync('tar', ['-xf', fileURLToPath(archived!.location), '-C', folder]);
      const unpacked = join(folder, `gantry-job-${job.jobId}`);
      execFileSync('sha256sum', ['--check', '--quiet', 'SHA256SUMS'], { cwd: unpacked });
      const manifest = ArchiveManifest.parse(
        JSON.parse(await readFile(join(unpacked, 'manifest.json'), 'utf8')),
      );
      const raw = Buffer.concat(
        await Promise.all(
          manifest.chunks.map(async ({ file }) => gunzipSync(await readFile(join(unpacked, file)))),
        ),
      );
      const printed = raw
        .toString()
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { stdout: string }).stdout);
      expect(`${printed.join('\n')}\n`).toBe(before[index]);
      expect(manifest.record).toMatchObject({
        jobId: job.jobId,
        seal: { sha256: manifest.chunks.at(-1)!.hash },
      });
    }
  });
  it('is dropped without an archive where there is none', async () => {
    const { id, key } = await organization();
    const job = await runJob(id);
    await sweepOn(key, ingestWith({ archive: null }));
    await expect(stdout(job)).rejects.toMatchObject({ message: expect.stringContaining('not archived') });
    expect(await log(key)).toEqual(['retention.partition_dropped']);
  });
  it('loses its host summaries later, and says so then', async () => {
    const { id, key } = await organization();
    const [job, other] = [await runJob(id), await runJob((await organization()).id)];
    await sweepOn(key);
    await admin.query(
      `update ingest.job_record set dropped_at = dropped_at - interval '11 days' where job_id = $1`,
      [job.jobId],
    );
    await sweepOn(today, ingestWith({ summaryDays: 10 }));
    await expect(ingest.queries.hosts({ jobId: job.jobId, first: 10 }, superuser)).rejects.toMatchObject({
      details: { reason: 'record_dropped' },
    });
    expect((await ingest.queries.hosts({ jobId: other.jobId, first: 10 }, superuser)).items.length).toBe(3);
  });
});

describe('rules that change', () => {
  it('keep a few jobs of a partition that goes: they are moved, and read the same', async () => {
    const { id, key } = await organization();
    const template = newId();
    const [large, small] = [await runJob(id, 400), await runJob(id, 10, template)];
    const before = [
      await stdout(small),
      await read(small),
      await ingest.queries.events(
        { jobId: small.jobId, after: 0, limit: 5, filter: { hosts: ['web1'] } },
        superuser,
      ),
    ];
    await rule(id, 1_000, template);
    expect((await sweepOn(key)).dropped).toContain(key);
    await expect(read(large)).rejects.toMatchObject({ code: 'refused' });
    expect(await dayOf(small)).toBe(addDays(today, 1_001));
    expect([
      await stdout(small),
      await read(small),
      await ingest.queries.events(
        { jobId: small.jobId, after: 0, limit: 5, filter: { hosts: ['web1'] } },
        superuser,
      ),
    ]).toEqual(before);
    expect(await describeJob(small)).toMatchObject({
      keepDays: 1_000,
      rule: 'job_template',
      droppedAt: null,
      archive: null,
    });
  });
  it('keep the partition when it is not a few', async () => {
    const { id, key } = await organization();
    const job = await runJob(id);
    await rule(id, 2_000);
    expect((await sweepOn(key)).dropped).not.toContain(key);
    expect((await read(job)).events.length).toBe(20);
    const storage = await ingest.retention.queries.storage(superuser);
    expect(storage.partitions.find(({ partition }) => partition === key)).toMatchObject({
      action: 'wait',
      jobs: 1,
    });
  });
  it('let go what was to be kept for ever', async () => {
    const { id } = await organization();
    await rule(id, 0);
    const job = await runJob(id);
    const key = await dayOf(job);
    expect(key).toBe(partitionFor(today, 0));
    expect((await sweepOn(addDays(today, 36_000))).dropped).not.toContain(key);
    await rule(id, 7);
    expect((await sweepOn(addDays(today, 7))).dropped).not.toContain(key);
    expect((await sweepOn(addDays(today, 10))).dropped).toContain(key);
  });
});

describe('a job that still runs', () => {
  it('is never cut, however old it and its rule are', async () => {
    const { id, key } = await organization();
    const [running, over] = [await open(id), await runJob(id)];
    await send(running, 30);
    await admin.query(
      `update ingest.job_record set opened_at = opened_at - interval '20 years' where job_id = $1`,
      [running.jobId],
    );
    await rule(id, 1);
    const far = addDays(key, 4_000);
    expect((await sweepOn(far)).dropped).not.toContain(key);
    expect((await read(running)).events.length).toBe(30);
    expect((await read(over)).events.length).toBe(20);
    // Not by a mistake of the service either: the database refuses.
    for (const call of ['empty_partition', 'drop_partition'])
      await expect(pool.query(`select ingest.${call}($1)`, [key])).rejects.toThrow(/not dropped/);
    await expect(pool.query(`drop table ingest.job_chunk_${key.replaceAll('-', '')}`)).rejects.toThrow(
      /must be owner/,
    );
    await send(running, 5);
    await end(running);
    expect((await read(running)).final).toMatchObject({ count: 35, status: 'successful' });
    expect((await sweepOn(far)).dropped).toContain(key);
  });
  it('that ends late is kept for its days after its end', async () => {
    const { id, key, keepDays } = await organization();
    const late = await runJob(id, 10);
    await admin.query(`update ingest.record_usage set ended_on = ended_on + 40 where day = $1`, [key]);
    await admin.query(
      `update ingest.job_record set closed_at = closed_at + interval '40 days' where job_id = $1`,
      [late.jobId],
    );
    expect((await sweepOn(key)).dropped).not.toContain(key);
    expect((await sweepOn(addDays(today, 40 + keepDays + 1))).dropped).toContain(key);
  });
});

describe('a drop', () => {
  it('waits for a reader, and neither breaks; writers go on', async () => {
    const { id, key } = await organization();
    const [job, writer] = [await runJob(id, 200), await open((await organization()).id)];
    const reader = await admin.connect();
    await reader.query('begin');
    await reader.query(
      `declare chunks cursor for select job_id, hash from ingest.job_chunk where day = '${key}'`,
    );
    await reader.query('fetch 1 from chunks');
    const sweeping = sweepOn(key);
    for (let batch = 0; batch < 5; batch++) await send(writer, 10);
    expect(await sweeping).toMatchObject({
      postponed: [{ partition: key, reason: expect.stringContaining('reading') }],
    });
    expect(await rowsIn(job)).toBe(1);
    await reader.query('fetch all from chunks');
    await reader.query('commit');
    reader.release();
    expect((await sweepOn(key)).dropped).toContain(key);
    expect((await read(writer)).events.length).toBe(50);
    await end(writer);
  });
  it('frees the disk though a long reader is on other partitions, and takes the empty tables when it has gone', async () => {
    const { id, key } = await organization();
    const other = await organization();
    const job = await runJob(id, 100);
    await runJob(other.id);
    const reader = await admin.connect();
    await reader.query('begin isolation level repeatable read');
    await reader.query(
      `declare chunks cursor for select payload from ingest.job_chunk where day = '${other.key}'`,
    );
    await reader.query('fetch 1 from chunks');
    const swept = await sweepOn(key);
    expect([swept.dropped.includes(key), swept.removed.includes(key)]).toEqual([true, false]);
    expect(await rowsIn(job)).toBe(0);
    expect(await tables(key)).toBe(2);
    await reader.query('commit');
    reader.release();
    expect((await sweepOn(addDays(key, 1))).removed).toContain(key);
    expect(await tables(key)).toBe(0);
  });
  it('is met by readers of the job with the whole of it or with a clear answer, never with less', async () => {
    const { id, key } = await organization();
    const template = newId();
    const [going, staying] = [await runJob(id, 300), await runJob(id, 30, template)];
    await rule(id, 1_000, template);
    let sweeping = true;
    const answers: (number | string)[] = [];
    const readAll = async (job: TestJob): Promise<void> => {
      do {
        const answer = await read(job).then(
          (page) => page.events.length,
          (error: { details: { reason?: string } }) => error.details.reason ?? String(error),
        );
        answers.push(job === going ? answer : answer === 30 ? 'whole' : `cut: ${answer}`);
      } while (sweeping);
    };
    const readers = [going, staying, going, staying].map(readAll);
    const swept = await sweepOn(key);
    sweeping = false;
    await Promise.all(readers);
    expect(swept.dropped).toContain(key);
    expect(
      [...new Set(answers)].filter((answer) => ![300, 'record_dropped', 'whole'].includes(answer)),
    ).toEqual([]);
  });
  it('does not happen to a record that does not verify: it stays, and the others go', async () => {
    const [bad, good] = [await organization(), await organization()];
    const [broken, whole] = [await runJob(bad.id), await runJob(good.id)];
    await admin.query(`update ingest.job_chunk set hash = sha256('x') where job_id = $1`, [broken.jobId]);
    const swept = await sweepOn(good.key);
    expect(swept.postponed).toEqual([
      {
        partition: bad.key,
        reason: expect.stringContaining(`job ${broken.jobId} is not archived, and so not dropped`),
      },
    ]);
    expect(swept.dropped).toContain(good.key);
    expect(await rowsIn(broken)).toBe(1);
    await expect(read(whole)).rejects.toMatchObject({ code: 'refused' });
    await rule(bad.id, 0);
  });
  it('does not happen while the archive is away or gives back something else', async () => {
    const { id, key } = await organization();
    const job = await runJob(id);
    const lying: Archive = { ...archive, get: async (name) => await archive.get(`${name}.other`) };
    expect((await sweepOn(key, ingestWith({ archive: lying }))).postponed).toEqual([
      { partition: key, reason: expect.stringContaining('does not give back') },
    ]);
    expect((await read(job)).events.length).toBe(20);
    expect((await sweepOn(key)).dropped).toContain(key);
  });
  it('is one replica’s at a time', async () => {
    const other = await admin.connect();
    await other.query(`select pg_advisory_lock(hashtextextended('gantry-ingest-retention', 0))`);
    expect(await ingest.retention.sweep(meta, never, today)).toBe(null);
    await other.query(`select pg_advisory_unlock_all()`);
    other.release();
    expect(await ingest.retention.sweep(meta, never, today)).not.toBe(null);
  });
});

describe('what retention tells', () => {
  it('of a job: its size, its rule, and until when', async () => {
    const { id, keepDays } = await organization();
    const job = await open(id);
    await send(job, 10);
    const running = await describeJob(job);
    expect(running).toMatchObject({
      keepDays,
      rule: 'organization',
      keptUntil: null,
      archive: null,
      droppedAt: null,
    });
    expect(running.rawBytes).toBeGreaterThan(running.storedBytes);
    await end(job);
    expect((await describeJob(job)).keptUntil).toBe(addDays(today, keepDays + 1));
    expect(await ingest.retention.queries.records({ jobIds: [job.jobId, newId()] }, testPrincipal())).toEqual(
      {
        items: [],
      },
    );
  });
  it('of the store: sizes by partition and organization, and what would go; to superusers and auditors alone', async () => {
    const { id, key } = await organization();
    const job = await runJob(id, 60);
    const storage = await ingest.retention.queries.storage(testPrincipal({ auditor: true }));
    const mine = storage.partitions.find(({ partition }) => partition === key)!;
    expect(mine).toMatchObject({ jobs: 1, openJobs: 0, action: 'wait', lastEnded: today });
    // A day before its key: two days after the last job in it might go.
    expect(mine.due! <= key).toBe(true);
    const { storedBytes, rawBytes } = await describeJob(job);
    expect(mine.storedBytes).toBe(storedBytes);
    expect(mine.bytes).toBeGreaterThan(storedBytes);
    expect(storage.organizations).toContainEqual({ organizationId: id, jobs: 1, rawBytes, storedBytes });
    expect(storage.totalBytes).toBe(storage.partitions.reduce((sum, { bytes }) => sum + bytes, 0));
    expect(storage.archive).toMatch(/^file:/);
    for (const principal of [testPrincipal(), testPrincipal({ organizations: { [id]: ['admin'] } })])
      await expect(ingest.retention.queries.storage(principal)).rejects.toMatchObject({ code: 'forbidden' });
  });
});

describe('a database from before', () => {
  it('keeps its jobs where they lie, and what lay in no day’s partition gets one', async () => {
    const old = await freshDatabase();
    const first = join(home, 'migrations');
    await mkdir(first);
    const names = (await readdir(migrations)).sort();
    const before = names
      .filter((name) => !name.includes('retention'))
      .filter((name) => name < names.find((other) => other.includes('retention'))!);
    for (const name of before) await cp(join(migrations, name), join(first, name));
    const settings = (migrationsDir: string) => ({
      adminUrl: old.adminUrl,
      database: old.name,
      rolePrefix: old.rolePrefix,
      services: [{ name: 'ingest', password: 'test-ingest', migrationsDir }],
    });
    await provision(settings(first));
    const client = new pg.Client({ connectionString: old.adminUrl });
    await client.connect();
    const jobId = newId();
    await client.query(
      `insert into ingest.job_record (job_id, day, organization_id, epoch, payload, chain_head, closed_at, stored_bytes) values ($1, '2020-02-02', $1, 1, '{}', sha256('x'), '2020-02-02', 7)`,
      [jobId],
    );
    await client.query(
      `insert into ingest.job_chunk (day, job_id, first_counter, last_counter, first_line, last_line, epoch, raw_length, codec, received_at, previous_hash, hash, payload)
      values ('2020-02-02', $1, 1, 1, 0, 1, 1, 7, 1, now(), sha256('x'), sha256('y'), 'payload')`,
      [jobId],
    );
    await provision(settings(migrations));
    const { rows } = await client.query(
      `select job_chunk.tableoid::regclass::text as lies, usage.stored_bytes::int as bytes from ingest.job_chunk join ingest.record_usage as usage using (day)`,
    );
    expect(rows).toEqual([{ lies: 'ingest.job_chunk_20200202', bytes: 7 }]);
    await client.end();
    await old.drop();
  });
});
