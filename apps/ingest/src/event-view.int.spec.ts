import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { freshDatabase, type FreshDatabase } from '@gantry/testkit/postgres';
import pg from 'pg';
import { v7 as newId } from 'uuid';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminPool, provisionIngest } from './testing/world.js';

let database: FreshDatabase;
let admin: pg.Pool;

beforeAll(async () => {
  database = await freshDatabase();
  await provisionIngest(database);
  admin = adminPool(database);
});
afterAll(async () => {
  await admin?.end();
  await database?.drop();
});

const gunzip = async (packed: Buffer): Promise<Buffer> =>
  (await admin.query<{ raw: Buffer }>('select ingest.gunzip($1) as raw', [packed])).rows[0]!.raw;

/** Text as events are: much of it again and again, some of it new. */
const eventsOf = (count: number): Buffer =>
  Buffer.from(
    Array.from(
      { length: count },
      (_, index) =>
        `${JSON.stringify({ counter: index + 1, event: 'runner_on_ok', uuid: randomBytes(8).toString('hex'), event_data: { host: `web${index % 7}`, task: 'Say', res: { changed: index % 3 === 0, msg: 'x'.repeat(index % 300) } } })}\n`,
    ).join(''),
  );

describe('gunzip in Postgres', () => {
  it.each([
    ['nothing', Buffer.alloc(0)],
    ['one byte', Buffer.from('a')],
    ['text with fixed codes', Buffer.from('hello, hello, hello')],
    ['bytes that do not compress', randomBytes(70_000)],
    ['one byte many times', Buffer.alloc(200_000, 'x')],
    ['events', eventsOf(1_000)],
  ])('gives back %s, at every level', async (_, raw) => {
    for (const level of [0, 1, 6, 9]) {
      const unpacked = await gunzip(gzipSync(raw, { level }));
      expect(unpacked.equals(raw), `level ${level}`).toBe(true);
    }
  });

  it('refuses what is no gzip, is cut or is damaged', async () => {
    const packed = gzipSync(eventsOf(50), { level: 1 });
    for (const bad of [
      Buffer.from('no gzip at all, but long enough'),
      packed.subarray(0, packed.length >> 1),
    ])
      await expect(gunzip(bad)).rejects.toMatchObject({ severity: 'ERROR' });
  });
});

/** A job whose record is one chunk. */
const addJob = async (id: string, raw: Buffer, events: number): Promise<void> => {
  await admin.query(
    `insert into ingest.job_record (job_id, day, organization_id, epoch, payload, chain_head, last_counter)
     values ($1, current_date, $2, 1, '{}', decode(repeat('00', 32), 'hex'), $3)`,
    [id, newId(), events],
  );
  await admin.query(
    `insert into ingest.job_chunk (day, job_id, first_counter, last_counter, first_line, last_line, epoch, raw_length, codec, received_at, previous_hash, hash, payload, payload_sha256, header_sha256)
     values (current_date, $1, 1, $4, 0, 3, 1, $2, 1, now(), '\\x00', '\\x00', $3, sha256($3), sha256($3))`,
    [id, raw.length, gzipSync(raw, { level: 1 }), events],
  );
};

describe('the view job_event', () => {
  const [jobId, other] = [newId(), newId()];
  const lines = [
    '{"counter":1,"event":"playbook_on_start","stdout":"","event_data":{}}',
    '{"counter":2,"event":"runner_on_failed","stdout":"fatal","event_data":{"host":"web1","task":"T","duration":1.5,"ignore_errors":true}}',
    '{"counter":3,"event":"runner_on_ok","stdout":"a\\u0000b","event_data":{"host":"web2","res":{"changed":true}}}',
    Buffer.from([0xff, 0xfe, 0x7b]),
    '{"counter":5,"event":"runner_on_unreachable","event_data":{"host":"web3"}}',
  ];

  beforeAll(async () => {
    const raw = Buffer.concat(lines.flatMap((line) => [Buffer.from(line), Buffer.from('\n')]));
    await admin.query('select ingest.make_partition(current_date)');
    for (const id of [jobId, other]) await addJob(id, raw, 5);
  });

  it('has a row for every event of the job, odd bytes and all', async () => {
    const { rows } = await admin.query(
      'select counter, event, host, failed, changed, duration_seconds, stdout, raw from ingest.job_event where job_id = $1 order by counter',
      [jobId],
    );
    expect(rows.map(({ raw: _, ...row }) => row)).toEqual([
      {
        counter: 1,
        event: 'playbook_on_start',
        host: null,
        failed: false,
        changed: false,
        duration_seconds: null,
        stdout: '',
      },
      {
        counter: 2,
        event: 'runner_on_failed',
        host: 'web1',
        failed: false,
        changed: false,
        duration_seconds: 1.5,
        stdout: 'fatal',
      },
      {
        counter: 3,
        event: 'runner_on_ok',
        host: 'web2',
        failed: false,
        changed: true,
        duration_seconds: null,
        stdout: 'a\ufffdb',
      },
      {
        counter: 4,
        event: null,
        host: null,
        failed: false,
        changed: false,
        duration_seconds: null,
        stdout: null,
      },
      {
        counter: 5,
        event: 'runner_on_unreachable',
        host: 'web3',
        failed: true,
        changed: false,
        duration_seconds: null,
        stdout: null,
      },
    ]);
    expect(rows.map(({ raw }) => raw)).toEqual(lines.map((line) => Buffer.from(line)));
  });

  it('survives numbers, types and depths that Postgres does not have', async () => {
    const id = newId();
    const odd = [
      '{"event":"runner_on_ok","event_data":{"duration":1e400}}',
      '{"event":"runner_on_ok","event_data":{"duration":1e-400}}',
      '{"event":"runner_on_ok","event_data":{"duration":-1}}',
      '{"event":"runner_on_ok","event_data":{"duration":1e999999999}}',
      '{"event":["x"],"stdout":{},"event_data":[1],"start_line":"z"}',
      '[1]',
      '5',
      'null',
      '',
      `{"event_data":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
    ];
    const raw = Buffer.from(odd.map((line) => `${line}\n`).join(''));
    await addJob(id, raw, odd.length);
    const { rows } = await admin.query<{ duration_seconds: number | null; raw: Buffer }>(
      'select duration_seconds, raw from ingest.job_event where job_id = $1 order by counter',
      [id],
    );
    expect(rows.map(({ raw: line }) => line.toString())).toEqual(odd);
    expect(rows.map((row) => row.duration_seconds)).toEqual([null, 0, ...odd.slice(2).map(() => null)]);
    await admin.query('delete from ingest.job_record where job_id = $1', [id]);
  });

  it('is joined by a row a job, to choose jobs by', async () => {
    const { rows } = await admin.query(
      'select job_id, events, status from ingest.record_summary where job_id = $1',
      [jobId],
    );
    expect(rows).toEqual([{ job_id: jobId, events: 5, status: null }]);
  });

  it('unpacks the chunks of the job that is named, and no others', async () => {
    const { rows } = await admin.query<{ 'QUERY PLAN': string }>(
      `explain (analyze, timing off, costs off) select count(*) from ingest.job_event where job_id = '${jobId}'`,
    );
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    expect(plan).toMatch(/Function Scan on unpack_chunk line \(actual rows=5(\.00)? loops=1\)/);
  });

  it('is what a reader is given, and nothing else', async () => {
    const person = `${database.rolePrefix}reporting`;
    await admin.query(
      `create role ${person} login password 'test-reporting' in role ${database.rolePrefix}reader`,
    );
    const url = new URL(database.adminUrl);
    [url.username, url.password] = [person, 'test-reporting'];
    const theirs = new pg.Client({ connectionString: url.href });
    await theirs.connect();
    try {
      const { rows } = await theirs.query(
        'select count(*)::int as count from ingest.job_event where job_id = $1',
        [jobId],
      );
      expect(rows).toEqual([{ count: 5 }]);
      expect((await theirs.query('select 1 from ingest.record_summary')).rowCount).toBe(2);
      await expect(theirs.query('delete from ingest.record_summary')).rejects.toMatchObject({
        code: '42501',
      });
      for (const table of ['job_chunk', 'job_record', 'event_log'])
        await expect(theirs.query(`select 1 from ingest.${table}`)).rejects.toMatchObject({ code: '42501' });
    } finally {
      await theirs.end();
    }
  });
});
