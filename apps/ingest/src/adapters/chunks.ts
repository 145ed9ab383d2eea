/** Reading chunks back. Opened ones are kept for a while: a hundred watchers of a job read the same few. */
import { gunzip } from 'node:zlib';
import { promisify } from 'node:util';
import { PlatformError } from '@gantry/contracts/errors';
import type { JobEvent } from '@gantry/contracts/record';
import { fromPostgres, identifier } from '@gantry/eventlog/sql';
import type pg from 'pg';
import { showEvent } from '../domain/display.js';
import { cutLines, type Line } from '../domain/ndjson.js';
import type { JobRecord } from './records.js';

/** Where a chunk lies. */
export interface Span {
  firstCounter: number;
  lastCounter: number;
  firstLine: number;
  lastLine: number;
  rawLength: number;
}

/** A chunk, decompressed and parsed. */
export interface OpenChunk {
  firstCounter: number;
  raw: Buffer;
  lines: Line[];
  /** As queries show it; made once. */
  show(line: Line): JobEvent;
}

/** Reads the chunks of a record. Throws `unavailable` when Postgres is away. */
export interface Chunks {
  /** At most `limit` chunks, from the one that holds `counter` on. */
  spansFrom(record: JobRecord, counter: number, limit: number): Promise<Span[]>;
  /** At most `limit` chunks, from the one that holds the output line on. */
  spansFromLine(record: JobRecord, line: number, limit: number): Promise<Span[]>;
  /** The chunks that hold these counters (ascending), at most `limit`. */
  spansOf(record: JobRecord, counters: readonly number[], limit: number): Promise<Span[]>;
  open(record: JobRecord, span: Span): Promise<OpenChunk>;
  /**
   * All chunks from the one that begins with `firstCounter` on, or backwards, as bytes: for a search, which looks at many and
   * opens few. Keeps none; the next ones are read while the last are looked at.
   */
  walk(record: JobRecord, firstCounter: number, backwards: boolean): AsyncGenerator<RawChunk>;
}

/** A chunk, decompressed only. */
export type RawChunk = Span & { raw: Buffer };

const gunzipped = promisify(gunzip);
/** In one piece: zlib's own of 16 KB take four times as long. */
const unzip = (payload: Buffer, { rawLength }: Span): Promise<Buffer> =>
  gunzipped(payload, { maxOutputLength: rawLength + 1, chunkSize: Math.max(rawLength + 1, 64) });

/** Chunks that a walk reads at once. */
const WALK_CHUNKS = 16;

/** Over a schema's tables. `cacheBytes`: decompressed bytes kept; parsed they take about four times as much. */
export const createChunks = (settings: { pool: pg.Pool; schema: string; cacheBytes?: number }): Chunks => {
  const { pool } = settings;
  const table = `${identifier(settings.schema)}.job_chunk`;
  const cache = createCache(settings.cacheBytes ?? 8 * 1024 * 1024);
  const columns = `first_counter as "firstCounter", last_counter as "lastCounter", first_line as "firstLine", last_line as "lastLine", raw_length as "rawLength"`;
  const query = async <Row extends pg.QueryResultRow>(text: string, params: unknown[]): Promise<Row[]> => {
    try {
      return (await pool.query<Row>(text, params)).rows;
    } catch (error) {
      throw fromPostgres(error);
    }
  };
  const load = async (record: JobRecord, span: Span): Promise<OpenChunk> => {
    const rows = await query<{ payload: Buffer }>(
      `select payload from ${table} where day = $1 and job_id = $2 and first_counter = $3`,
      [record.day, record.jobId, span.firstCounter],
    );
    if (!rows[0])
      throw new PlatformError(
        'defect',
        `The chunk of job ${record.jobId} that begins with event ${span.firstCounter} is gone.`,
      );
    return openChunk(await unzip(rows[0].payload, span), span.firstCounter);
  };
  const readOn = async (record: JobRecord, from: number, backwards: boolean): Promise<RawChunk[]> => {
    const rows = await query<Span & { payload: Buffer }>(
      `select ${columns}, payload from ${table} where day = $1 and job_id = $2 and first_counter ${backwards ? '<=' : '>='} $3
       order by first_counter ${backwards ? 'desc' : 'asc'} limit $4`,
      [record.day, record.jobId, from, WALK_CHUNKS],
    );
    return Promise.all(
      rows.map(async ({ payload, ...span }) => ({ ...span, raw: await unzip(payload, span) })),
    );
  };
  return {
    spansFrom: (record, counter, limit) =>
      query<Span>(
        `select ${columns} from ${table} where day = $1 and job_id = $2 and first_counter >= coalesce(
           (select max(first_counter) from ${table} where day = $1 and job_id = $2 and first_counter <= $3), 0)
         order by first_counter limit $4`,
        [record.day, record.jobId, counter, limit],
      ),
    spansFromLine: (record, line, limit) =>
      query<Span>(
        `select ${columns} from ${table} where day = $1 and job_id = $2 and first_counter >= coalesce(
           (select first_counter from ${table} where day = $1 and job_id = $2 and first_line <= $3 order by first_line desc, first_counter desc limit 1), 0)
         order by first_counter limit $4`,
        [record.day, record.jobId, line, limit],
      ),
    spansOf: (record, counters, limit) =>
      query<Span>(
        `select distinct on (chunk."firstCounter") chunk.* from unnest($3::int[]) as wanted (counter)
         cross join lateral (select ${columns} from ${table} where day = $1 and job_id = $2 and first_counter <= wanted.counter
           order by first_counter desc limit 1) as chunk
         order by chunk."firstCounter" limit $4`,
        [record.day, record.jobId, counters, limit],
      ),
    open: (record, span) =>
      cache(`${record.jobId}:${span.firstCounter}`, span.rawLength, () => load(record, span)),
    async *walk(record, firstCounter, backwards) {
      for (let next = readOn(record, firstCounter, backwards); ;) {
        const chunks = await next;
        if (chunks.length === 0) return;
        next = readOn(record, chunks.at(-1)!.firstCounter + (backwards ? -1 : 1), backwards);
        // Whoever has found enough does not come back for it.
        next.catch(() => undefined);
        yield* chunks;
      }
    },
  };
};

/** A chunk of decompressed bytes. */
export const openChunk = (raw: Buffer, firstCounter: number): OpenChunk => {
  const shown = new Map<number, JobEvent>();
  return {
    firstCounter,
    raw,
    lines: cutLines(raw, firstCounter),
    show: (line) => {
      let event = shown.get(line.counter);
      if (!event) shown.set(line.counter, (event = showEvent(raw, line)));
      return event;
    },
  };
};

/** Least recently used out first; those who ask at once share one load; a failed load is not kept. */
const createCache = (most: number) => {
  const kept = new Map<string, { chunk: Promise<OpenChunk>; bytes: number }>();
  let bytes = 0;
  const drop = (key: string): void => {
    const entry = kept.get(key);
    if (entry && kept.delete(key)) bytes -= entry.bytes;
  };
  return (key: string, size: number, load: () => Promise<OpenChunk>): Promise<OpenChunk> => {
    const known = kept.get(key);
    if (known) {
      kept.delete(key);
      kept.set(key, known);
      return known.chunk;
    }
    const chunk = load();
    chunk.catch(() => drop(key));
    kept.set(key, { chunk, bytes: size });
    bytes += size;
    for (const oldest of kept.keys()) {
      if (bytes <= most || oldest === key) break;
      drop(oldest);
    }
    return chunk;
  };
};
