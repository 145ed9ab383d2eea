/**
 * Events of a record by filter. Two ways to them: the index finds the counters of results by host, task, kind and outcome; what
 * it does not hold (text, plain output) is looked for chunk by chunk. Either way a page opens a bounded number of chunks and says
 * how far it got.
 */
import type { JobEvent, JobEventFilter, ResultStatus } from '@gantry/contracts/record';
import { fromPostgres, identifier } from '@gantry/eventlog/sql';
import { openChunk, type Chunks, type OpenChunk, type Span } from './adapters/chunks.js';
import type { JobRecord } from './adapters/records.js';
import { kindNumber } from './domain/facts.js';
import { createTextSearch, type TextSearch } from './domain/text-search.js';
import type { QueryDependencies } from './record.queries.js';

/** Bytes of events in one answer: below NATS's limit of 1 MiB a message, JSON's escapes included. */
const PAGE_BYTES = 400 * 1024;
/** Chunks that one answer may open: bounds the work of a filter that finds little. */
const PAGE_CHUNKS = 20;
/** Up to so many results by the index are opened for a text; of more, it is quicker to look through the record. */
const CANDIDATES = 200;

/** Events, and how far the page got: further than its last event when what follows does not match. */
export interface EventPage {
  events: JobEvent[];
  lastCounter: number;
}

/** At most `limit` events with a counter above `after` that match. Throws `unavailable`. */
export const readEvents = async (
  deps: QueryDependencies,
  record: JobRecord,
  after: number,
  limit: number,
  filter: JobEventFilter,
): Promise<EventPage> => {
  const end = record.lastCounter;
  if (after >= end) return { events: [], lastCounter: Math.max(after, end) };
  // Nothing at or above `before` matches: a page that gets there has got to the end.
  const last = Math.min(end, (filter.before ?? end + 1) - 1);
  if (after >= last) return { events: [], lastCounter: end };
  const range = { after, last, limit };
  const page =
    (indexable(filter) && (await byIndex(deps, record, range, filter))) ||
    (await byScan(deps, record, range, filter));
  return page.lastCounter >= last ? { ...page, lastCounter: end } : page;
};

/** Counters from above `after` up to `last`, and how many events at most. */
interface Range {
  after: number;
  last: number;
  limit: number;
}

const byScan = async (
  deps: QueryDependencies,
  record: JobRecord,
  range: Range,
  filter: JobEventFilter,
): Promise<EventPage> => {
  const { chunks } = deps;
  const spans = await chunks.spansFrom(record, range.after + 1, filter.text ? 1 : PAGE_CHUNKS);
  const pieces =
    filter.text && spans[0]
      ? searched(deps, record, spans[0].firstCounter, createTextSearch(filter.text))
      : opened(chunks, record, spans);
  return collect(pieces, range, matcher(filter));
};

/** Null when there are too many candidates for a text to look at one by one. */
const byIndex = async (
  deps: QueryDependencies,
  record: JobRecord,
  range: Range,
  filter: JobEventFilter,
): Promise<EventPage | null> => {
  const asked = filter.text ? CANDIDATES + 1 : range.limit;
  const counters = await findCounters(deps, record, range, asked, filter);
  if (counters.length > CANDIDATES && filter.text) return null;
  const known = counters.length < asked ? range.last : counters.at(-1)!;
  if (counters.length === 0) return { events: [], lastCounter: known };
  const wanted = new Set(counters);
  const hasText = textMatcher(filter);
  const spans = await deps.chunks.spansOf(record, counters, PAGE_CHUNKS);
  const page = await collect(
    opened(deps.chunks, record, spans),
    { ...range, last: known },
    (event) => wanted.has(event.counter) && hasText(event),
  );
  // Behind the last candidate nothing matches, as far as the index was asked.
  return page.lastCounter >= counters.at(-1)! ? { ...page, lastCounter: known } : page;
};

/** A chunk to be looked at; null when it is known that nothing in it matches. */
interface Piece {
  lastCounter: number;
  chunk: OpenChunk | null;
}

async function* opened(chunks: Chunks, record: JobRecord, spans: readonly Span[]): AsyncGenerator<Piece> {
  for (const span of spans) yield { lastCounter: span.lastCounter, chunk: await chunks.open(record, span) };
}

/** As many chunks as there is time for; at least one. */
async function* searched(
  { chunks, searchMilliseconds }: QueryDependencies,
  record: JobRecord,
  from: number,
  search: TextSearch,
): AsyncGenerator<Piece> {
  const started = performance.now();
  for await (const { raw, firstCounter, lastCounter } of chunks.walk(record, from, false)) {
    yield { lastCounter, chunk: search.mayHold(raw) ? openChunk(raw, firstCounter) : null };
    if (performance.now() - started > searchMilliseconds) return;
  }
}

const collect = async (
  pieces: AsyncIterable<Piece>,
  range: Range,
  wanted: (event: JobEvent) => boolean,
): Promise<EventPage> => {
  const events: JobEvent[] = [];
  let [bytes, lastCounter] = [0, range.after];
  for await (const { chunk, lastCounter: end } of pieces) {
    for (const line of chunk?.lines ?? []) {
      if (line.counter <= range.after) continue;
      // Committed after the record was looked at, or out of range: a later page says so.
      if (line.counter > range.last) return { events, lastCounter };
      const event = chunk!.show(line);
      if (wanted(event)) {
        const size = sizeOf(event, line.end - line.start);
        if (events.length > 0 && bytes + size > PAGE_BYTES) return { events, lastCounter };
        events.push(event);
        bytes += size;
      }
      lastCounter = line.counter;
      if (events.length >= range.limit) return { events, lastCounter };
    }
    lastCounter = Math.max(lastCounter, Math.min(end, range.last));
    if (lastCounter >= range.last) return { events, lastCounter };
  }
  return { events, lastCounter };
};

/** What an event takes in the answer: about its own JSON, and twice that where much of it is escapes. */
const sizeOf = (event: JobEvent, rawSize: number): number =>
  Math.min(rawSize, 128 * 1024) + 300 + event.stdout.length;

/** Conditions of a status on a row of the index. */
const statusConditions: Record<ResultStatus, (kinds: (names: string[]) => string) => string> = {
  ok: (kinds) => kinds(['runner_on_ok', 'runner_item_on_ok', 'runner_on_async_ok']),
  changed: (kinds) => `changed and ${kinds(['runner_on_ok', 'runner_item_on_ok', 'runner_on_async_ok'])}`,
  failed: (kinds) =>
    `failed and ${kinds(['runner_on_failed', 'runner_item_on_failed', 'runner_on_async_failed'])}`,
  unreachable: (kinds) => kinds(['runner_on_unreachable']),
  skipped: (kinds) => kinds(['runner_on_skipped', 'runner_item_on_skipped']),
  ignored: (kinds) =>
    `not failed and ${kinds(['runner_on_failed', 'runner_item_on_failed', 'runner_on_async_failed'])}`,
};

/** Can the index answer for it, all but the text? */
const indexable = (filter: JobEventFilter): boolean => {
  if (filter.events?.some((name) => kindNumber(name) === undefined)) return false;
  const { hosts, tasks, plays, roles, events, statuses, failedOnly, changedOnly } = filter;
  return (
    [hosts, tasks, plays, roles, events, statuses].some((list) => list?.length) ||
    failedOnly === true ||
    changedOnly === true
  );
};

const findCounters = async (
  { pool, schema }: QueryDependencies,
  record: JobRecord,
  { after, last }: Range,
  limit: number,
  filter: JobEventFilter,
): Promise<number[]> => {
  const tables = identifier(schema);
  const params: unknown[] = [record.number, record.day, after, last, limit];
  const given = (value: unknown, type: string): string => `$${params.push(value)}::${type}`;
  const kinds = (names: readonly string[]): string =>
    `kind = any(${given(names.map(kindNumber), 'smallint[]')})`;
  const where = ['job_number = $1', 'day = $2', 'counter > $3', 'counter <= $4'];
  if (filter.events?.length) where.push(kinds(filter.events));
  if (filter.hosts?.length)
    where.push(
      `host_id = any(array(select host_id from ${tables}.job_host where job_number = $1 and name = any(${given(filter.hosts, 'text[]')})))`,
    );
  const ofTask = [
    ...(filter.tasks?.length
      ? [`(name = any(${given(filter.tasks, 'text[]')}) or uuid = any($${params.length}::text[]))`]
      : []),
    ...(filter.plays?.length ? [`play = any(${given(filter.plays, 'text[]')})`] : []),
    ...(filter.roles?.length ? [`role = any(${given(filter.roles, 'text[]')})`] : []),
  ];
  if (ofTask.length > 0)
    where.push(
      `task_id = any(array(select task_id from ${tables}.job_task where job_number = $1 and ${ofTask.join(' and ')}))`,
    );
  if (filter.statuses?.length)
    where.push(`(${filter.statuses.map((status) => `(${statusConditions[status](kinds)})`).join(' or ')})`);
  if (filter.failedOnly) where.push('failed');
  if (filter.changedOnly) where.push('changed');
  try {
    const { rows } = await pool.query<{ counter: number }>(
      `select counter from ${tables}.job_event_index where ${where.join(' and ')} order by counter limit $5`,
      params,
    );
    return rows.map((row) => row.counter);
  } catch (error) {
    throw fromPostgres(error);
  }
};

const textMatcher = ({ text }: JobEventFilter): ((event: JobEvent) => boolean) => {
  if (!text) return () => true;
  const { inOutput } = createTextSearch(text);
  return ({ stdout }) => inOutput(stdout);
};

/** The filter on events themselves: for names that the index does not hold, and for text alone. */
const matcher = (filter: JobEventFilter): ((event: JobEvent) => boolean) => {
  const one = (list: readonly string[] | null | undefined) => {
    const names = list?.length ? new Set(list) : null;
    return (name: string | null): boolean => !names || (name !== null && names.has(name));
  };
  const [hosts, events] = [one(filter.hosts), one(filter.events)];
  const [plays, roles] = [one(filter.plays), one(filter.roles)];
  const tasks = one(filter.tasks);
  const hasText = textMatcher(filter);
  return (event) =>
    hosts(event.host) &&
    events(event.event) &&
    plays(event.play) &&
    roles(event.role) &&
    (tasks(event.task) || tasks(taskUuidOf(event))) &&
    (!filter.statuses?.length || filter.statuses.some((status) => hasStatus(event, status))) &&
    (!filter.failedOnly || event.failed) &&
    (!filter.changedOnly || event.changed) &&
    hasText(event);
};

const taskUuidOf = ({ eventData }: JobEvent): string | null =>
  typeof eventData['task_uuid'] === 'string' ? eventData['task_uuid'] : null;

const hasStatus = ({ event, failed, changed }: JobEvent, status: ResultStatus): boolean => {
  const result = /^runner_(?:on|item_on|on_async)_(ok|failed|unreachable|skipped)$/.exec(event)?.[1];
  switch (status) {
    case 'changed':
      return result === 'ok' && changed;
    case 'failed':
      return result === 'failed' && failed;
    case 'ignored':
      return result === 'failed' && !failed;
    default:
      return result === status;
  }
};
