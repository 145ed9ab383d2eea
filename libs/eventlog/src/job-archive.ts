/**
 * The archive of a job (docs/RECORD.md section 5), made as it is read: never more of it in memory than a page, and the list
 * of its chunks. The same job always gives the same bytes.
 */
import { createHash, type Hash } from 'node:crypto';
import type { CommandSpec, InputOf, OutputOf } from '@gantry/contracts/command';
import { isPlatformError, PlatformError } from '@gantry/contracts/errors';
import { GetJob, isFinal, type Job } from '@gantry/contracts/job';
import {
  archiveFormat,
  BEFORE_ALL_CHUNKS,
  ReadChunks,
  ReadJobStream,
  ReadRecordRow,
  ReadRecordStream,
  type ArchiveManifest,
  type LinkedEvent,
  type RecordRow,
} from '@gantry/contracts/proof';
import { ListHostSummaries, type HostSummary } from '@gantry/contracts/record';
import { archiveReadme } from './job-archive.readme.js';
import { tarEnd, tarHeader, tarPadding } from './tar.js';

/**
 * Asks the owners of the parts (GetJob, ReadJobStream, ReadRecordRow, ReadRecordStream, ReadChunks, ListHostSummaries): over
 * the bus in somebody's name, or an owner itself. Throws what they throw.
 */
export type AskOwner = <C extends CommandSpec>(command: C, input: InputOf<C>) => Promise<OutputOf<C>>;

/** Name of the folder in a job's archive, and of the file it comes as. */
export const archiveName = (jobId: string): string => `gantry-job-${jobId}`;

/** Throws `not_found`, `refused` while the job is not over, and what the owners throw, also half-way. */
export async function* archiveOf(call: AskOwner, jobId: string): AsyncGenerator<Buffer> {
  const job = await call(GetJob, { jobId });
  if (!isFinal(job.status) || !job.finishedAt)
    throw new PlatformError('refused', `Job ${jobId} is not over: it can be exported when it is.`, {
      details: { reason: 'not_over' },
    });
  const row = await recordRow(call, jobId);
  const tar = new Tar(archiveName(job.id), Math.floor(Date.parse(job.finishedAt) / 1_000));
  const jobEvents = await allEvents((afterVersion) => call(ReadJobStream, { jobId, afterVersion }));
  const recordEvents = row
    ? await allEvents((afterVersion) => call(ReadRecordStream, { jobId, afterVersion }))
    : [];
  const hosts = row ? await allHosts(call, jobId) : [];
  yield* tar.file('README.txt', archiveReadme(job));
  yield* tar.file('job.ndjson', lines(jobEvents));
  yield* tar.file('record.ndjson', lines(recordEvents));
  yield* tar.file('hosts.ndjson', lines(hosts));
  const chunks: ArchiveManifest['chunks'] = [];
  if (row) yield* chunkFiles(call, jobId, tar, chunks);
  const manifest: ArchiveManifest = {
    format: archiveFormat.name,
    formatVersion: archiveFormat.version,
    job: manifestJob(job),
    record: row,
    streams: {
      job: { file: 'job.ndjson', events: jobEvents.length, head: jobEvents.at(-1)?.hash ?? '' },
      record: { file: 'record.ndjson', events: recordEvents.length, head: recordEvents.at(-1)?.hash ?? '' },
    },
    hosts: { file: 'hosts.ndjson', count: hosts.length },
    chunks,
  };
  yield* tar.file('manifest.json', manifestText(manifest));
  yield* tar.end();
}

const recordRow = async (call: AskOwner, jobId: string): Promise<RecordRow | null> => {
  try {
    return (await call(ReadRecordRow, { jobId })).row;
  } catch (error) {
    // The job is there and may be seen: it never had a pod.
    if (isPlatformError(error) && error.code === 'not_found') return null;
    throw error;
  }
};

const allEvents = async (
  read: (afterVersion: number) => Promise<{ events: LinkedEvent[]; hasMore: boolean }>,
): Promise<LinkedEvent[]> => {
  const events: LinkedEvent[] = [];
  for (;;) {
    const page = await read(events.at(-1)?.streamVersion ?? 0);
    events.push(...page.events);
    if (!page.hasMore) return events;
  }
};

const allHosts = async (call: AskOwner, jobId: string): Promise<HostSummary[]> => {
  const hosts: HostSummary[] = [];
  for (;;) {
    const page = await call(ListHostSummaries, { jobId, first: 1_000, after: hosts.at(-1)?.host });
    hosts.push(...page.items);
    if (!page.hasNextPage) return hosts;
  }
};

const lines = (values: readonly object[]): Buffer =>
  Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(''));

const chunkFile = (firstCounter: number): string =>
  `chunks/${String(firstCounter).padStart(10, '0')}.ndjson.gz`;

/** Each chunk as it is stored; one that is larger than a message comes in pieces. */
async function* chunkFiles(
  call: AskOwner,
  jobId: string,
  tar: Tar,
  list: ArchiveManifest['chunks'],
): AsyncGenerator<Buffer> {
  for (let after = BEFORE_ALL_CHUNKS; ;) {
    const { chunks } = await call(ReadChunks, { jobId, after });
    if (chunks.length === 0) return;
    for (const { header, storedLength, payload } of chunks) {
      const file = chunkFile(header.firstCounter);
      yield tar.begin(file, storedLength);
      let piece = Buffer.from(payload, 'base64');
      for (let offset = 0; ;) {
        yield tar.content(piece);
        offset += piece.length;
        if (offset >= storedLength) break;
        const more = (await call(ReadChunks, { jobId, after, offset })).chunks[0];
        piece = Buffer.from(more?.payload ?? '', 'base64');
        if (more?.header.firstCounter !== header.firstCounter || piece.length === 0)
          throw new PlatformError('conflict', `The record of job ${jobId} changed while it was exported.`);
      }
      yield tar.finish(storedLength);
      list.push({ file, storedLength, ...header });
      after = header.firstCounter;
    }
  }
}

const manifestJob = (job: Job): ArchiveManifest['job'] => ({
  id: job.id,
  name: job.name,
  organizationId: job.organizationId,
  jobTemplateId: job.jobTemplateId,
  status: job.status as ArchiveManifest['job']['status'],
  reason: job.reason,
  launchedBy: job.launchedBy,
  createdAt: job.createdAt,
  startedAt: job.startedAt,
  finishedAt: job.finishedAt!,
  pinned: job.pinned,
  agent: job.agent,
});

/** Indented, but for the chunks: one line each, for grep. */
const manifestText = ({ chunks, ...head }: ArchiveManifest): Buffer => {
  const text = JSON.stringify({ ...head, chunks: [] }, null, 2);
  const list = chunks.map((chunk) => `    ${JSON.stringify(chunk)}`).join(',\n');
  return Buffer.from(
    chunks.length === 0 ? `${text}\n` : `${text.replace(/\[\]\n\}$/, () => `[\n${list}\n  ]\n}`)}\n`,
  );
};

/** The files of one folder, and their sums in a last one. */
class Tar {
  private sums = '';
  private current: { path: string; hash: Hash } | null = null;

  constructor(
    private readonly folder: string,
    private readonly modifiedAt: number,
  ) {}

  begin(path: string, sizeBytes: number): Buffer {
    this.current = { path, hash: createHash('sha256') };
    return tarHeader(`${this.folder}/${path}`, sizeBytes, this.modifiedAt);
  }

  content(piece: Buffer): Buffer {
    this.current!.hash.update(piece);
    return piece;
  }

  finish(sizeBytes: number): Buffer {
    this.sums += `${this.current!.hash.digest('hex')}  ${this.current!.path}\n`;
    return tarPadding(sizeBytes);
  }

  *file(path: string, content: Buffer): Generator<Buffer> {
    yield this.begin(path, content.length);
    yield this.content(content);
    yield this.finish(content.length);
  }

  *end(): Generator<Buffer> {
    const sums = Buffer.from(this.sums);
    yield* this.file('SHA256SUMS', sums);
    yield tarEnd();
  }
}
