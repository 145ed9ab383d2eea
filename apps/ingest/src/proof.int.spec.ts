/** Bytes are really flipped, in Postgres, by its superuser: the service's role is refused. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Finding } from '@gantry/contracts/proof';
import { ReadChunks, ReadRecordStream, VerifyRecord } from '@gantry/contracts/proof';
import { testPrincipal } from '@gantry/service/testing';
import type pg from 'pg';
import { v7 as newId } from 'uuid';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminPool, finishOf, startIngestWorld, type IngestWorld } from './testing/world.js';

let world: IngestWorld;
let admin: pg.Pool;

beforeAll(async () => {
  world = await startIngestWorld();
  admin = adminPool(world.database, 1);
  await admin.query('alter table ingest.event_log disable trigger all');
});

afterAll(async () => {
  await admin?.end();
  await world?.stop();
});

const prints = (count: number, from: number): object[] =>
  Array.from({ length: count }, (_, index) => ({ stdout: `line ${from + index} of the output` }));

/** A sealed job of `chunks` chunks of 20 events. */
const sealedJob = async (chunks = 4): Promise<string> => {
  const jobId = newId();
  const pod = await world.open(jobId);
  for (let chunk = 0; chunk < chunks; chunk++)
    expect((await pod.send(pod.cut(prints(20, chunk * 20)))).status).toBe(200);
  expect((await pod.call('finish', finishOf(pod))).status).toBe(200);
  return jobId;
};

const verify = async (jobId: string, principal = world.reader) => {
  const findings: Finding[] = [];
  for (let [state, calls] = [null as never, 1]; ; calls++) {
    const page = await world.ingest.proof.verify(VerifyRecord.input.parse({ jobId, state }), principal);
    findings.push(...page.findings);
    if (!page.state) return { ...page, findings, calls };
    state = page.state as never;
  }
};

/** What was found, as `part column first-last`. */
const named = (findings: readonly Finding[]): string[] =>
  findings.map(({ part, column, firstCounter, lastCounter, version }) =>
    [part, column ?? '-', firstCounter === null ? version : `${firstCounter}-${lastCounter}`]
      .filter((each) => each !== null)
      .join(' '),
  );

describe('a record that nobody touched', () => {
  it('is intact, and checked a bounded part at a time', async () => {
    const jobId = await sealedJob(150);
    const { findings, calls, seal, checkedCounter } = await verify(jobId);
    expect(findings).toEqual([]);
    expect(calls).toBeGreaterThan(2);
    expect(checkedCounter).toBe(3_000);
    expect(seal).toMatchObject({ lastCounter: 3_000, lastLine: 3_000, status: 'successful' });
  });

  it('is intact while it is written, and says that it has no seal', async () => {
    const jobId = newId();
    const pod = await world.open(jobId);
    await pod.send(pod.cut(prints(5, 0)));
    expect(await verify(jobId)).toMatchObject({ findings: [], seal: null, checkedCounter: 5 });
  });

  it('is intact when nothing was ever written, and when a line is no JSON', async () => {
    const empty = newId();
    await world.open(empty);
    expect((await verify(empty)).findings).toEqual([]);
    const odd = newId();
    const pod = await world.open(odd);
    await pod.send(pod.cut(prints(3, 0)));
    await pod.send(pod.cutLines(['not json', '[1]']));
    await pod.send(pod.cut(prints(3, 3)));
    expect((await verify(odd)).findings).toEqual([]);
  });

  it('counts the gaps that its agent told of', async () => {
    const jobId = newId();
    const pod = await world.open(jobId);
    await pod.send(pod.cut([{ event: 'gantry_gap', stdout: '[gantry: gap]' }]));
    expect(await verify(jobId)).toMatchObject({ findings: [], gaps: 1 });
  });

  it('is not shown to who may not read it', async () => {
    const jobId = await sealedJob(1);
    const stranger = testPrincipal({ organizations: { [newId()]: ['admin'] } });
    const input = { jobId };
    for (const call of [
      () => verify(jobId, stranger),
      () => world.ingest.proof.row(input, stranger),
      () => world.ingest.proof.chunks(ReadChunks.input.parse(input), stranger),
      () => world.ingest.proof.stream(ReadRecordStream.input.parse(input), stranger),
    ])
      await expect(call()).rejects.toMatchObject({ code: 'forbidden' });
    await expect(verify(newId())).rejects.toMatchObject({ code: 'not_found' });
  });
});

/** Changes a row, looks what a check finds, and changes it back. */
const damaged = async (
  jobId: string,
  table: string,
  where: string,
  column: string,
  flipped: string,
  back = flipped,
): Promise<Finding[]> => {
  const change = async (value: string): Promise<void> => {
    const { rowCount } = await admin.query(`update ingest.${table} set ${column} = ${value} where ${where}`);
    expect(rowCount).toBe(1);
  };
  await change(flipped);
  const { findings } = await verify(jobId);
  await change(back);
  return findings;
};
const byte = (column: string, index: number): string =>
  `set_byte(${column}, ${index}, get_byte(${column}, ${index}) # 4)`;

describe('one flipped byte', () => {
  let jobId: string;
  beforeAll(async () => {
    jobId = await sealedJob();
  });

  it('cannot be made by the service itself in its log', async () => {
    await expect(world.pool.query(`update ingest.event_log set type = 'x'`)).rejects.toThrow(/permission/);
  });

  it.each([
    ['first_counter', 'first_counter # 64', 'last_counter = 40'],
    ['first_counter', 'first_counter # (1 << 31)', 'last_counter = 40'],
    ['first_counter', 'first_counter # 4', 'last_counter = 40'],
    ['first_counter', 'first_counter # 128', 'last_counter = 80'],
    ['last_counter', 'last_counter # 256'],
    ['last_counter', 'last_counter # 1', 'first_counter = 61'],
    ['first_line', 'first_line # 1'],
    ['first_line', 'first_line # 1', 'last_counter = 20'],
    ['last_line', 'last_line # 1'],
    ['last_line', 'last_line # 1', 'last_counter = 80'],
    ['epoch', 'epoch # 2'],
    ['raw_length', 'raw_length # 1024'],
    ['codec', '(codec # 2::smallint)'],
    ['previous_hash', byte('previous_hash', 31)],
    ['previous_hash', byte('previous_hash', 0), 'last_counter = 20'],
    ['hash', byte('hash', 0)],
    ['hash', byte('hash', 9), 'last_counter = 80'],
    ['payload_sha256', byte('payload_sha256', 7)],
    ['header_sha256', byte('header_sha256', 7)],
    ['received_at', `received_at + interval '1 microsecond'`, undefined, `received_at - interval '1 microsecond'`],
    ['received_at', `received_at + interval '256 years'`, undefined, `received_at - interval '256 years'`],
  ])('in the column %s of a chunk (%s) is named', async (column, flipped, where = 'first_counter = 21', back = flipped) => {
    const findings = await damaged(jobId, 'job_chunk', `job_id = '${jobId}' and ${where}`, column, flipped, back);
    // A row that its counter has moved is also missing where it was.
    expect(new Set(findings.map((each) => each.part))).toEqual(new Set(['chunk']));
    const distinct = new Set(findings.map((each) => each.column).filter((each) => each !== null));
    expect([...distinct]).toEqual([column]);
  }); // prettier-ignore

  it('in the bytes of a chunk is named, wherever it lies', async () => {
    const { rows } = await admin.query<{ length: number }>(
      `select octet_length(payload) as length from ingest.job_chunk where job_id = $1 and first_counter = 21`,
      [jobId],
    );
    for (let index = 0; index < rows[0]!.length; index++) {
      const where = `job_id = '${jobId}' and first_counter = 21`;
      const findings = await damaged(jobId, 'job_chunk', where, 'payload', byte('payload', index));
      expect(named(findings), `byte ${index}`).toEqual(['chunk payload 21-40']);
    }
  });

  it.each([
    ['last_counter', 'last_counter # 4'],
    ['last_line', 'last_line # 4'],
    ['chain_head', byte('chain_head', 3)],
    ['raw_bytes', 'raw_bytes # 1'],
    ['stored_bytes', 'stored_bytes # (1::bigint << 62)'],
    ['epoch', 'epoch # 2'],
    ['agent_epoch', 'agent_epoch # 2'],
    ['alarms', 'alarms # 1'],
    ['stream_version', 'stream_version # 1'],
    ['seal', `jsonb_set(seal, '{exitCode}', '1')`, `jsonb_set(seal, '{exitCode}', '0')`],
  ])('in the column %s of the record is named', async (column, flipped, back = flipped) => {
    const findings = await damaged(jobId, 'job_record', `job_id = '${jobId}'`, column, flipped, back);
    expect(named(findings)).toEqual([`record ${column}`]);
  });

  it.each([
    ['data', `jsonb_set(data, '{epoch}', '2')`, 'content', `jsonb_set(data, '{epoch}', '1')`],
    ['meta', `jsonb_set(meta, '{actor,name}', '"tesu"')`, 'content', `jsonb_set(meta, '{actor,name}', '"test"')`],
    ['type', `'record.openee'`, 'content', `'record.opened'`],
    ['schema_version', 'schema_version + 2', 'content', 'schema_version - 2'],
    ['at', `at + interval '1 microsecond'`, 'content', `at - interval '1 microsecond'`],
    ['hash', byte('hash', 5), 'hash', undefined],
    ['previous_hash', byte('previous_hash', 5), 'previous_hash', undefined],
  ])('in the column %s of an event of its stream is named', async (column, flipped, said, back = flipped) => {
    const where = `stream = 'record-${jobId}' and version = 1`;
    const findings = await damaged(jobId, 'event_log', where, column, flipped, back);
    expect(named(findings)).toEqual([`record_stream ${said} 1`]);
  }); // prettier-ignore

  it('in the seal itself is named', async () => {
    const where = `stream = 'record-${jobId}' and version = 2`;
    const to = (digit: string) => `jsonb_set(data, '{lastCounter}', '${digit}')`;
    expect(named(await damaged(jobId, 'event_log', where, 'data', to('81'), to('80')))).toEqual([
      'record_stream content 2',
    ]);
  });

  it('that was put back leaves no trace', async () => {
    expect((await verify(jobId)).findings).toEqual([]);
  });
});

describe('a record of which something is gone', () => {
  it('names the missing events, in the middle and at the end', async () => {
    const jobId = await sealedJob();
    await admin.query(`delete from ingest.job_chunk where job_id = $1 and first_counter = 21`, [jobId]);
    expect(named((await verify(jobId)).findings)).toEqual(['chunk - 21-40']);
    await admin.query(`delete from ingest.job_chunk where job_id = $1 and first_counter = 61`, [jobId]);
    expect(named((await verify(jobId)).findings)).toEqual(['chunk - 21-40', 'chunk - 61-80']);
  });

  it('names a milestone that was taken out of its stream', async () => {
    const jobId = await sealedJob(1);
    await admin.query(`delete from ingest.event_log where stream = $1 and version = 1`, [`record-${jobId}`]);
    expect(named((await verify(jobId)).findings)).toEqual(['record_stream - 1']);
  });

  it('is not made whole by rewriting its row and the sums of a chunk', async () => {
    const jobId = await sealedJob();
    await admin.query(`delete from ingest.job_chunk where job_id = $1 and first_counter = 61`, [jobId]);
    await admin.query(
      `update ingest.job_record as record set last_counter = 60, last_line = 60, chain_head = last.hash
       from ingest.job_chunk as last where record.job_id = $1 and last.job_id = $1 and last.first_counter = 41`,
      [jobId],
    );
    const found = named((await verify(jobId)).findings);
    expect(found).toContain('chunk - 61-80');
  });
});

describe('a record from before there were sums', () => {
  it('gets the same ones from the migration', async () => {
    const jobId = await sealedJob();
    const migration = readFileSync(new URL('../migrations/000003_chunk_sums.sql', import.meta.url), 'utf8');
    const fill = /update [^;]+;/.exec(migration)![0].replaceAll(':SCHEMA', 'ingest');
    const zeros = `decode(repeat('00', 32), 'hex')`;
    await admin.query(`update ingest.job_chunk set payload_sha256 = ${zeros}, header_sha256 = ${zeros}`);
    expect((await verify(jobId)).findings.length).toBeGreaterThan(0);
    await admin.query(fill);
    expect((await verify(jobId)).findings).toEqual([]);
  });
});

describe('chunks as they are stored', () => {
  it('come whole or in pieces, byte for byte', async () => {
    const jobId = newId();
    const pod = await world.open(jobId);
    const noise = Array.from({ length: 9 }, (_, index) => ({ stdout: randomText(100_000 + index) }));
    await pod.send(pod.cut(prints(3, 0)));
    await pod.send(pod.cut(noise));
    await pod.send(pod.cut(prints(3, 12)));
    const { rows } = await admin.query<{ payload: Buffer }>(
      `select payload from ingest.job_chunk where job_id = $1 order by first_counter`,
      [jobId],
    );
    const got: Buffer[] = [];
    let request: { after?: number; offset?: number } = {};
    let calls = 0;
    for (; ; calls++) {
      const { chunks } = await world.ingest.proof.chunks(
        ReadChunks.input.parse({ jobId, ...request }),
        world.reader,
      );
      expect(JSON.stringify(chunks).length).toBeLessThan(1024 * 1024);
      if (chunks.length === 0) break;
      for (const { header, payload, storedLength } of chunks) {
        const piece = Buffer.from(payload, 'base64');
        if (request.offset) got.push(Buffer.concat([got.pop()!, piece]));
        else got.push(piece);
        const whole = got.at(-1)!.length === storedLength;
        request = whole
          ? { after: header.firstCounter }
          : { after: request.after, offset: got.at(-1)!.length };
      }
    }
    expect(calls).toBeGreaterThan(2);
    expect(got.map((each) => each.toString('base64'))).toEqual(
      rows.map(({ payload }) => payload.toString('base64')),
    );
  });
});

const randomText = (length: number): string => randomBytes(length).toString('base64').slice(0, length);
