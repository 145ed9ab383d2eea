/**
 * Archiving one job: its chunks, byte for byte as the agent compressed them, and a manifest, as a tar (docs/RETENTION.md has
 * the format). The same record always gives the same bytes, so that this may be killed anywhere and repeated.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { PlatformError } from '@gantry/contracts/errors';
import { fromPostgres, identifier, type Sql } from '@gantry/eventlog/sql';
import { noRecord, type JobRecord, type Records, type StoredArchive } from './adapters/records.js';
import { tarEnd, tarHeader, tarPadding } from './domain/tar.js';
import { chainStart } from './record.commands.js';
import type { Archive, ArchiveFile } from './retention.port.js';

/** Chunks read at once: at most 4 MiB or so. */
const PAGE_CHUNKS = 16;

interface ChunkRow {
  firstCounter: number;
  lastCounter: number;
  firstLine: number;
  lastLine: number;
  epoch: number;
  rawLength: number;
  receivedAt: Date;
  previousHash: string;
  hash: string;
  payload: Buffer;
}

/** What archiving stands on. */
export interface ArchiverDependencies {
  pool: Sql;
  schema: string;
  records: Records;
  archive: Archive;
  /** Where files wait for their upload; the system's folder for temporary files when left out. */
  spool?: string;
}

/** Archives a job that is over, reads it back, and notes in its record where it lies. */
export type ArchiveJob = (jobId: string) => Promise<StoredArchive>;

/**
 * Over a schema's tables and an archive. Throws `not_found`, what the archive throws, and `defect` for a record whose chain
 * does not hold: that is not archived, and so not dropped.
 */
export const createArchiver = (deps: ArchiverDependencies): ArchiveJob => {
  const table = `${identifier(deps.schema)}.job_record`;
  return async (jobId) => {
    const record = await deps.records.find(deps.pool, jobId);
    if (!record) throw noRecord(jobId);
    if (record.archive) return record.archive;
    if (!record.closed || record.droppedAt)
      throw new PlatformError(
        'defect',
        `The record of job ${jobId} cannot be archived: it is not over, or dropped.`,
      );
    const times = await timesOf(deps.pool, table, jobId);
    const folder = await mkdtemp(join(deps.spool ?? tmpdir(), 'gantry-archive-'));
    try {
      const file = await writeRecord(deps, record, times, join(folder, 'record.tar'));
      const name = `${times.openedAt.slice(0, 10).replaceAll('-', '/')}/${jobId}.tar`;
      await deps.archive.put(name, file);
      await requireSame(deps.archive, name, file);
      const stored: StoredArchive = {
        key: name,
        location: deps.archive.locate(name),
        sha256: file.sha256,
        sizeBytes: file.sizeBytes,
        archivedAt: new Date().toISOString(),
      };
      await deps.pool.query(`update ${table} set archive = $2 where job_id = $1 and archive is null`, [
        jobId,
        JSON.stringify(stored),
      ]);
      return stored;
    } catch (error) {
      throw fromPostgres(error);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };
};

interface Times {
  openedAt: string;
  sealedAt: string | null;
  closedAt: string;
}

const timesOf = async (pool: Sql, table: string, jobId: string): Promise<Times> => {
  const { rows } = await pool
    .query<{ opened: Date; sealed: Date | null; closed: Date }>(
      `select opened_at as opened, sealed_at as sealed, closed_at as closed from ${table} where job_id = $1`,
      [jobId],
    )
    .catch((error: unknown) => {
      throw fromPostgres(error);
    });
  const { opened, sealed, closed } = rows[0]!;
  return {
    openedAt: opened.toISOString(),
    sealedAt: sealed?.toISOString() ?? null,
    closedAt: closed.toISOString(),
  };
};

const writeRecord = async (
  deps: ArchiverDependencies,
  record: JobRecord,
  times: Times,
  path: string,
): Promise<ArchiveFile> => {
  const hash = createHash('sha256');
  const modified = Date.parse(times.closedAt) / 1_000;
  const handle = await open(path, 'w');
  let sizeBytes = 0;
  const write = async (bytes: Buffer): Promise<void> => {
    hash.update(bytes);
    await handle.writeFile(bytes);
    sizeBytes += bytes.length;
  };
  try {
    const chunks: object[] = [];
    await write(tarHeader('events.ndjson.gz', record.storedBytes, modified));
    let offset = 0;
    for await (const { payload, receivedAt, previousHash: _, ...chunk } of checkedChunks(deps, record)) {
      chunks.push({ ...chunk, receivedAt: receivedAt.toISOString(), offset, length: payload.length });
      await write(payload);
      offset += payload.length;
    }
    if (offset !== record.storedBytes)
      throw broken(record, `its chunks have ${offset} bytes and not ${record.storedBytes}`);
    await write(tarPadding(offset));
    const manifest = Buffer.from(`${JSON.stringify(manifestOf(record, times, chunks), null, 1)}\n`);
    await write(tarHeader('manifest.json', manifest.length, modified));
    await write(manifest);
    await write(tarPadding(manifest.length));
    await write(tarEnd());
  } finally {
    await handle.close();
  }
  return { path, sizeBytes, sha256: hash.digest('hex') };
};

const manifestOf = (record: JobRecord, times: Times, chunks: readonly object[]): object => ({
  format: 'gantry-record',
  version: 1,
  jobId: record.jobId,
  organizationId: record.organizationId,
  jobTemplateId: record.jobTemplateId,
  ...times,
  epoch: record.epoch,
  events: record.lastCounter,
  lines: record.lastLine,
  rawBytes: record.rawBytes,
  storedBytes: record.storedBytes,
  chain: { algorithm: 'sha256', start: chainStart(record.jobId), head: record.head },
  seal: record.seal,
  chunks,
});

const unzip = promisify(gunzip);

/** The chunks in order, each checked against the chain: an archive of something broken would be the last that is seen of it. */
async function* checkedChunks(deps: ArchiverDependencies, record: JobRecord): AsyncGenerator<ChunkRow> {
  let [head, counter] = [chainStart(record.jobId), 0];
  for (;;) {
    const rows = await readChunks(deps, record, counter);
    for (const chunk of rows) {
      const raw = await unzip(chunk.payload, { maxOutputLength: chunk.rawLength + 1 }).catch(
        (error: Error) => {
          throw broken(
            record,
            `the chunk that begins with event ${chunk.firstCounter} is not gzip: ${error.message}`,
          );
        },
      );
      const hash = createHash('sha256').update(Buffer.from(head, 'hex')).update(raw).digest('hex');
      if (chunk.firstCounter !== counter + 1 || chunk.previousHash !== head || chunk.hash !== hash)
        throw broken(record, `its chain does not hold at event ${chunk.firstCounter}`);
      yield chunk;
      [head, counter] = [hash, chunk.lastCounter];
    }
    if (rows.length < PAGE_CHUNKS) break;
  }
  if (counter !== record.lastCounter || head !== record.head)
    throw broken(record, `its chunks end with event ${counter} and not ${record.lastCounter}`);
}

const readChunks = async (
  { pool, schema }: ArchiverDependencies,
  record: JobRecord,
  after: number,
): Promise<ChunkRow[]> => {
  const { rows } = await pool.query<ChunkRow>(
    `select first_counter as "firstCounter", last_counter as "lastCounter", first_line as "firstLine", last_line as "lastLine",
       epoch, raw_length as "rawLength", received_at as "receivedAt", encode(previous_hash, 'hex') as "previousHash",
       encode(hash, 'hex') as hash, payload
     from ${identifier(schema)}.job_chunk where day = $1 and job_id = $2 and first_counter > $3 order by first_counter limit $4`,
    [record.day, record.jobId, after, PAGE_CHUNKS],
  );
  return rows;
};

const broken = ({ jobId }: JobRecord, why: string): PlatformError =>
  new PlatformError('defect', `The record of job ${jobId} is not archived, and so not dropped: ${why}.`, {
    details: { jobId },
  });

/** What the archive gives back must be what it was given. */
const requireSame = async (archive: Archive, name: string, file: ArchiveFile): Promise<void> => {
  const stream = await archive.get(name);
  const hash = createHash('sha256');
  try {
    for await (const piece of stream ?? []) hash.update(piece as Buffer);
  } catch (error) {
    throw new PlatformError(
      'unavailable',
      `The archive broke off while ${archive.locate(name)} was read back.`,
      { cause: error },
    );
  }
  if (stream && hash.digest('hex') === file.sha256) return;
  throw new PlatformError(
    'unavailable',
    `The archive does not give back what it was given: ${archive.locate(name)} is ${stream ? 'different' : 'not there'}.`,
    {
      details: { reason: 'archive' },
    },
  );
};
