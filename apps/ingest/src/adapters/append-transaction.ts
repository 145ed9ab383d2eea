/** One transaction for the batches of many jobs: lock the records in order, judge, move the cursors, copy the rows. */
import { createHash } from 'node:crypto';
import { PlatformError } from '@gantry/contracts/errors';
import { identifier, withTransaction } from '@gantry/eventlog/sql';
import type pg from 'pg';
import { judge, reachesBack, type CommittedChunk, type Verdict } from '../domain/append.js';
import type { Batch } from '../domain/batch.js';
import { counts, kindNumber } from '../domain/facts.js';
import { headerText } from '../domain/row-sums.js';
import { copyAll, createRowWriter, type RowWriter } from './copy-binary.js';
import {
  copiesOf,
  hostNumber,
  newEntries,
  taskNumber,
  type Dictionaries,
  type Dictionary,
  type NewEntries,
} from './dictionaries.js';
import type { JobRecord, Records } from './records.js';
import { addTaskSummaries, type TaskSummaryRow } from './task-summaries.js';

/** What became of one batch. `record` as it was before, null if there is none. */
export interface Judged {
  batch: Batch;
  verdict: Verdict;
  record: JobRecord | null;
}

/** Carries out groups of batches, at most one of a job in each. */
export type AppendTransaction = (batches: readonly Batch[]) => Promise<Judged[]>;

const GZIP = 1;
const chunkColumns = [
  'day',
  'job_id',
  'first_counter',
  'last_counter',
  'first_line',
  'last_line',
  'epoch',
  'raw_length',
  'codec',
  'received_at',
  'previous_hash',
  'hash',
  'payload',
  'payload_sha256',
  'header_sha256',
];
const indexColumns = [
  'job_number',
  'counter',
  'host_id',
  'task_id',
  'duration_ms',
  'day',
  'kind',
  'failed',
  'changed',
];

/** Over a service's tables. Throws as Postgres does, translated; nothing of the group is written then. */
export const createAppendTransaction = (settings: {
  pool: pg.Pool;
  schema: string;
  records: Records;
  dictionaries: Dictionaries;
}): AppendTransaction => {
  const { pool, records, dictionaries } = settings;
  const schema = identifier(settings.schema);

  const write = async (
    client: pg.PoolClient,
    accepted: readonly { batch: Batch; record: JobRecord }[],
  ): Promise<Map<string, Dictionary>> => {
    const opened = new Map<string, Dictionary>();
    await moveCursors(
      client,
      schema,
      accepted.map(({ batch }) => batch),
    );
    const entries = newEntries();
    const rows: Rows = { chunks: createRowWriter(), index: createRowWriter(), summaries: [], tasks: [] };
    for (const { batch, record } of accepted) {
      const dictionary = await dictionaries.open(client, batch.jobId, record.number, record.lastCounter);
      opened.set(batch.jobId, dictionary);
      collect(rows, entries, batch, record, dictionary);
    }
    await copyAll(client, [
      ...copiesOf(schema, entries),
      { table: `${schema}.job_chunk`, columns: chunkColumns, rows: rows.chunks },
      { table: `${schema}.job_event_index`, columns: indexColumns, rows: rows.index },
    ]);
    await addSummaries(client, schema, rows.summaries);
    await addTaskSummaries(client, schema, rows.tasks);
    return opened;
  };

  return async (batches) => {
    try {
      const { judged, opened } = await withTransaction(pool, async (client) => {
        const locked = await records.lockAll(
          client,
          batches.map((batch) => batch.jobId),
        );
        const judged: Judged[] = [];
        for (const batch of batches)
          judged.push(await judgeBatch(client, schema, locked.get(batch.jobId) ?? null, batch));
        const accepted = judged.filter(
          (one): one is Judged & { record: JobRecord } => one.verdict.kind === 'append',
        );
        return {
          judged,
          opened: accepted.length > 0 ? await write(client, accepted) : new Map<string, Dictionary>(),
        };
      });
      for (const { batch } of judged) {
        const dictionary = opened.get(batch.jobId);
        if (dictionary) dictionaries.keep(batch.jobId, dictionary, batch.lastCounter);
      }
      return judged;
    } catch (error) {
      for (const batch of batches) dictionaries.forget(batch.jobId);
      throw error;
    }
  };
};

const judgeBatch = async (
  client: pg.PoolClient,
  schema: string,
  record: JobRecord | null,
  batch: Batch,
): Promise<Judged> => {
  if (!record) return { batch, record, verdict: { kind: 'closed' } };
  const state = { ...record, sealed: record.seal !== null };
  let committed: CommittedChunk | null = null;
  if (reachesBack(state, batch)) {
    const { rows } = await client.query<CommittedChunk>(
      `select first_counter as "firstCounter", last_counter as "lastCounter", encode(hash, 'hex') as hash
       from ${schema}.job_chunk where day = $1 and job_id = $2 and first_counter = $3`,
      [record.day, batch.jobId, batch.firstCounter],
    );
    committed = rows[0] ?? null;
  }
  return { batch, record, verdict: judge(state, batch, committed) };
};

/** The guard is in the statement too: whatever this process believes, a cursor moves only from where the batch begins. */
const moveCursors = async (
  client: pg.PoolClient,
  schema: string,
  batches: readonly Batch[],
): Promise<void> => {
  const { rowCount } = await client.query({
    name: 'gantry-move-cursors',
    text: `update ${schema}.job_record as record
     set last_counter = batch.last_counter, last_line = batch.last_line, chain_head = decode(batch.hash, 'hex'), last_heard_at = now(),
         raw_bytes = record.raw_bytes + batch.raw_length, stored_bytes = record.stored_bytes + batch.stored
     from unnest($1::uuid[], $2::int[], $3::int[], $4::int[], $5::int[], $6::text[], $7::text[], $8::int[], $9::int[])
       as batch (job_id, epoch, first_counter, last_counter, last_line, previous_hash, hash, raw_length, stored)
     where record.job_id = batch.job_id and record.epoch = batch.epoch and record.last_counter = batch.first_counter - 1
       and record.chain_head = decode(batch.previous_hash, 'hex') and record.sealed_at is null and record.closed_at is null`,
    values: [
      batches.map((batch) => batch.jobId),
      batches.map((batch) => batch.epoch),
      batches.map((batch) => batch.firstCounter),
      batches.map((batch) => batch.lastCounter),
      batches.map((batch) => batch.lastLine),
      batches.map((batch) => batch.previousHash),
      batches.map((batch) => batch.hash),
      batches.map((batch) => batch.rawLength),
      batches.map((batch) => batch.payload.length),
    ],
  });
  if (rowCount !== batches.length)
    throw new PlatformError(
      'defect',
      `Only ${rowCount} of ${batches.length} record cursors moved under their locks.`,
    );
};

interface Rows {
  chunks: RowWriter;
  index: RowWriter;
  summaries: { jobNumber: string; hostId: number; numbers: number[]; final: boolean }[];
  tasks: TaskSummaryRow[];
}

const collect = (
  rows: Rows,
  entries: NewEntries,
  batch: Batch,
  record: JobRecord,
  dictionary: Dictionary,
): void => {
  const number = BigInt(record.number);
  const receivedAt = Date.now();
  rows.chunks
    .row(chunkColumns.length)
    .date(record.day)
    .uuid(batch.jobId)
    .int4(batch.firstCounter)
    .int4(batch.lastCounter)
    .int4(batch.firstLine)
    .int4(batch.lastLine)
    .int4(batch.epoch)
    .int4(batch.rawLength)
    .int2(GZIP)
    .timestamp(receivedAt)
    .bytes(Buffer.from(batch.previousHash, 'hex'))
    .bytes(Buffer.from(batch.hash, 'hex'))
    .bytes(batch.payload)
    .bytes(sha256(batch.payload))
    .bytes(sha256(headerText({ ...batch, codec: GZIP, receivedAt })));
  for (const { counter, facts } of batch.indexed) {
    const host = facts.host === null ? null : hostNumber(dictionary, number, facts.host, entries);
    const task = taskNumber(dictionary, number, facts, entries);
    rows.index
      .row(indexColumns.length)
      .int8(number)
      .int4(counter)
      .int4(host)
      .int4(task)
      .int4(facts.durationMilliseconds)
      .date(record.day)
      .int2(kindNumber(facts.event) ?? 0)
      .bool(facts.failed)
      .bool(facts.changed);
  }
  const numbers = new Map([...batch.added].map(([host, sum]) => [host, { sum, final: false }]));
  for (const [host, sum] of batch.final ?? []) numbers.set(host, { sum, final: true });
  for (const [host, { sum, final }] of numbers) {
    const hostId = hostNumber(dictionary, number, host, entries);
    rows.summaries.push({
      jobNumber: record.number,
      hostId,
      numbers: counts.map((name) => sum[name]),
      final,
    });
  }
  for (const [uuid, counts] of batch.tasks) {
    // Known by now: a task that only starts (it has no row in the index) is numbered with its first result.
    const taskId = dictionary.tasks.get(uuid);
    if (taskId === undefined) continue;
    const slowestHostId =
      counts.slowestHost === null ? null : hostNumber(dictionary, number, counts.slowestHost, entries);
    rows.tasks.push({ jobNumber: record.number, taskId, slowestHostId, counts });
  }
};

const sha256 = (content: Buffer | string): Buffer => createHash('sha256').update(content).digest();

const addSummaries = async (
  client: pg.PoolClient,
  schema: string,
  rows: Rows['summaries'],
): Promise<void> => {
  if (rows.length === 0) return;
  const set = counts.map(
    (name) =>
      `${name} = case when excluded.final then excluded.${name} else old.${name} + excluded.${name} end`,
  );
  await client.query({
    name: 'gantry-add-summaries',
    text: `insert into ${schema}.host_summary as old (job_number, host_id, final, ${counts.join(', ')})
     select * from unnest($1::bigint[], $2::int[], $3::boolean[], ${counts.map((_, index) => `$${index + 4}::int[]`).join(', ')})
     on conflict (job_number, host_id) do update set final = old.final or excluded.final, ${set.join(', ')}`,
    values: [
      rows.map((row) => row.jobNumber),
      rows.map((row) => row.hostId),
      rows.map((row) => row.final),
      ...counts.map((_, index) => rows.map((row) => row.numbers[index])),
    ],
  });
};
