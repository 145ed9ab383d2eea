/** Reading a record: events from a counter on, output from a line on, numbers of hosts. Never the whole job to answer for a part. */
import { authorize, type Principal } from '@gantry/contracts/access';
import type { OutputOf, ReceivedBy } from '@gantry/contracts/command';
import type {
  JobEvent,
  JobEventFilter,
  ListHostSummaries,
  ListJobEvents,
  ReadStdout,
} from '@gantry/contracts/record';
import { fromPostgres, identifier } from '@gantry/eventlog/sql';
import type pg from 'pg';
import type { Chunks, OpenChunk, Span } from './adapters/chunks.js';
import { noRecord, requireKept, type JobRecord, type Records } from './adapters/records.js';
import { outputOf } from './domain/display.js';
import { counts, kindNumber } from './domain/facts.js';
import { createStableRead } from './stable-read.js';

/** Bytes of events or output in one answer: below NATS's limit of 1 MiB a message, JSON's escapes included. */
const PAGE_BYTES = 400 * 1024;
/** Lines of output in one answer. */
const PAGE_LINES = 10_000;
/** Chunks that one answer may open: bounds the work of a filter that finds little. */
const PAGE_CHUNKS = 20;

/** What the queries stand on. */
export interface QueryDependencies {
  pool: pg.Pool;
  schema: string;
  records: Records;
  chunks: Chunks;
}

/**
 * Queries of a record. Throw `not_found`, `forbidden` (needs `read` in the job's organization), `refused` with reason
 * `record_dropped`, `unavailable`.
 */
export interface RecordQueries {
  events(
    input: ReceivedBy<typeof ListJobEvents>,
    principal: Principal,
  ): Promise<OutputOf<typeof ListJobEvents>>;
  stdout(input: ReceivedBy<typeof ReadStdout>, principal: Principal): Promise<OutputOf<typeof ReadStdout>>;
  hosts(
    input: ReceivedBy<typeof ListHostSummaries>,
    principal: Principal,
  ): Promise<OutputOf<typeof ListHostSummaries>>;
}

/** Over a schema's tables. */
export const createRecordQueries = (deps: QueryDependencies): RecordQueries => {
  const { records, chunks } = deps;
  const stable = createStableRead(deps.pool, records);
  const allowed = async (jobId: string, principal: Principal): Promise<JobRecord> => {
    const record = await records.find(deps.pool, jobId);
    if (!record) throw noRecord(jobId);
    authorize(principal, 'read', record.organizationId, `the output of job ${jobId}`);
    return record;
  };
  return {
    events: async ({ jobId, after, limit, filter }, principal) => {
      const record = await allowed(jobId, principal);
      const { events, lastCounter } = await stable(record, (kept) =>
        readEvents(deps, kept, after, limit, filter ?? {}),
      );
      const { seal } = record;
      const final =
        seal && lastCounter >= record.lastCounter
          ? { count: seal.lastCounter, sha256: seal.sha256, status: seal.status }
          : null;
      return { events, lastCounter, committedCounter: record.lastCounter, final };
    },
    stdout: async ({ jobId, startLine, endLine }, principal) => {
      const record = await allowed(jobId, principal);
      const end = Math.min(endLine ?? record.lastLine, startLine + PAGE_LINES, record.lastLine);
      const { text, line } = await stable(record, (kept) => readOutput(chunks, kept, startLine, end));
      return { text, startLine, endLine: Math.max(line, startLine), totalLines: record.lastLine };
    },
    hosts: async ({ jobId, first, after }, principal) => {
      const record = await allowed(jobId, principal);
      // The numbers outlive the events, but not for ever.
      if (record.pruned) requireKept(record);
      return listHosts(deps, record, first, after ?? '');
    },
  };
};

interface EventPage {
  events: JobEvent[];
  lastCounter: number;
}

const readEvents = async (
  deps: QueryDependencies,
  record: JobRecord,
  after: number,
  limit: number,
  filter: JobEventFilter,
): Promise<EventPage> => {
  if (after >= record.lastCounter) return { events: [], lastCounter: Math.max(after, record.lastCounter) };
  const open = (span: Span): Promise<OpenChunk> => deps.chunks.open(record, span);
  const indexed = await findIndexed(deps, record, after, limit, filter);
  if (!indexed) {
    const spans = await deps.chunks.spansFrom(record, after + 1, PAGE_CHUNKS);
    return collectEvents(spans, open, { after, last: record.lastCounter, limit, wanted: matcher(filter) });
  }
  if (indexed.length === 0) return { events: [], lastCounter: record.lastCounter };
  const wanted = new Set(indexed);
  const spans = await deps.chunks.spansOf(record, indexed, PAGE_CHUNKS);
  const page = await collectEvents(spans, open, {
    after,
    last: record.lastCounter,
    limit,
    wanted: (event) => wanted.has(event.counter),
  });
  // All that the index knows is here: nothing up to the end of the record matches.
  const complete = indexed.length < limit && page.events.at(-1)?.counter === indexed.at(-1);
  return {
    events: page.events,
    lastCounter: complete ? record.lastCounter : (page.events.at(-1)?.counter ?? page.lastCounter),
  };
};

interface Bounds {
  after: number;
  last: number;
  limit: number;
  wanted: (event: JobEvent) => boolean;
}

const collectEvents = async (
  spans: readonly Span[],
  open: (span: Span) => Promise<OpenChunk>,
  bounds: Bounds,
): Promise<EventPage> => {
  const events: JobEvent[] = [];
  let [bytes, lastCounter] = [0, bounds.after];
  for (const span of spans) {
    const chunk = await open(span);
    for (const line of chunk.lines) {
      if (line.counter <= bounds.after) continue;
      // Committed after the record was looked at: a later page says so.
      if (line.counter > bounds.last) return { events, lastCounter };
      const event = chunk.show(line);
      if (bounds.wanted(event)) {
        const size = sizeOf(event, line.end - line.start);
        if (events.length > 0 && bytes + size > PAGE_BYTES) return { events, lastCounter };
        events.push(event);
        bytes += size;
      }
      lastCounter = line.counter;
      if (events.length >= bounds.limit) return { events, lastCounter };
    }
  }
  return { events, lastCounter };
};

/** What an event takes in the answer: about its own JSON, and twice that where much of it is escapes. */
const sizeOf = (event: JobEvent, rawSize: number): number =>
  Math.min(rawSize, 128 * 1024) + 300 + event.stdout.length;

/** Counters that the index finds, or null when the index cannot answer for this filter. */
const findIndexed = async (
  { pool, schema }: QueryDependencies,
  record: JobRecord,
  after: number,
  limit: number,
  filter: JobEventFilter,
): Promise<number[] | null> => {
  const names = filter.events ?? [];
  const numbers = names.map(kindNumber);
  if (numbers.includes(undefined)) return null;
  const hosts = filter.hosts ?? [];
  if (names.length === 0 && hosts.length === 0 && !filter.failedOnly && !filter.changedOnly) return null;
  const table = identifier(schema);
  const params: unknown[] = [record.number, record.day, after, record.lastCounter, limit];
  const where = ['job_number = $1', 'day = $2', 'counter > $3', 'counter <= $4'];
  if (names.length > 0) where.push(`kind = any($${params.push(numbers)}::smallint[])`);
  if (hosts.length > 0)
    where.push(
      `host_id = any(array(select host_id from ${table}.job_host where job_number = $1 and name = any($${params.push(hosts)}::text[])))`,
    );
  if (filter.failedOnly) where.push('failed');
  if (filter.changedOnly) where.push('changed');
  try {
    const { rows } = await pool.query<{ counter: number }>(
      `select counter from ${table}.job_event_index where ${where.join(' and ')} order by counter limit $5`,
      params,
    );
    return rows.map((row) => row.counter);
  } catch (error) {
    throw fromPostgres(error);
  }
};

/** The same filter on the events themselves, for names that the index does not hold. */
const matcher = (filter: JobEventFilter): ((event: JobEvent) => boolean) => {
  const hosts = filter.hosts?.length ? new Set(filter.hosts) : null;
  const events = filter.events?.length ? new Set(filter.events) : null;
  return (event) =>
    (!hosts || (event.host !== null && hosts.has(event.host))) &&
    (!events || events.has(event.event)) &&
    (!filter.failedOnly || event.failed) &&
    (!filter.changedOnly || event.changed);
};

const readOutput = async (
  chunks: Chunks,
  record: JobRecord,
  start: number,
  end: number,
): Promise<{ text: string; line: number }> => {
  let [bytes, line] = [0, start];
  const pieces: string[] = [];
  if (start >= end) return { text: '', line };
  let spans = await chunks.spansFromLine(record, start, PAGE_CHUNKS);
  while (spans.length > 0) {
    for (const span of spans) {
      if (span.firstLine >= end) return { text: pieces.join(''), line: end };
      const chunk = await chunks.open(record, span);
      for (const { event } of chunk.lines) {
        for (const [number, content] of outputOf(event)) {
          if (number < start) continue;
          if (number >= end) return { text: pieces.join(''), line: end };
          const shown =
            content.length > PAGE_BYTES / 2
              ? `${content.slice(0, PAGE_BYTES / 2)} [cut: ${content.length} characters]`
              : content;
          const size = Buffer.byteLength(shown) + 1;
          if (pieces.length > 0 && bytes + size > PAGE_BYTES) return { text: pieces.join(''), line };
          pieces.push(shown, '\n');
          bytes += size;
          line = number + 1;
        }
      }
    }
    const last = spans.at(-1)!.lastCounter;
    spans = last >= record.lastCounter ? [] : await chunks.spansFrom(record, last + 1, PAGE_CHUNKS);
  }
  return { text: pieces.join(''), line: end };
};

const listHosts = async (
  { pool, schema }: QueryDependencies,
  record: JobRecord,
  first: number,
  after: string,
): Promise<OutputOf<typeof ListHostSummaries>> => {
  const table = identifier(schema);
  try {
    const { rows } = await pool.query<OutputOf<typeof ListHostSummaries>['items'][number]>(
      `select host.name as host, ${counts.map((name) => `summary.${name}`).join(', ')}
       from ${table}.job_host as host join ${table}.host_summary as summary using (job_number, host_id)
       where host.job_number = $1 and host.name > $2 order by host.name limit $3`,
      [record.number, after, first + 1],
    );
    const total = await pool.query<{ count: number }>(
      `select count(*)::int as count from ${table}.host_summary where job_number = $1`,
      [record.number],
    );
    return {
      items: rows.slice(0, first),
      hasNextPage: rows.length > first,
      totalCount: total.rows[0]!.count,
    };
  } catch (error) {
    throw fromPostgres(error);
  }
};
