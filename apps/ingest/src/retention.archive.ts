/**
 * Archiving one job: exactly the archive that `gantry export` writes (docs/RECORD.md section 5), so that `gantry verify FILE`
 * and `gantry replay FILE` take it. The same job always gives the same bytes: this may be killed anywhere and repeated.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Principal } from '@gantry/contracts/access';
import type { OutputOf } from '@gantry/contracts/command';
import { PlatformError } from '@gantry/contracts/errors';
import { GetJob } from '@gantry/contracts/job';
import {
  ReadChunks,
  ReadJobStream,
  ReadRecordRow,
  ReadRecordStream,
  type ChainState,
  type ReadJobForArchive,
} from '@gantry/contracts/proof';
import { ListHostSummaries } from '@gantry/contracts/record';
import { archiveName, archiveOf, type AskOwner } from '@gantry/eventlog/job-archive';
import { fromPostgres, identifier, type Sql } from '@gantry/eventlog/sql';
import { noRecord, type Records, type StoredArchive } from './adapters/records.js';
import type { ProofQueries } from './proof.queries.js';
import type { RecordQueries } from './record.queries.js';
import type { Archive, ArchiveFile } from './retention.port.js';

/** Tells of a job and its stream: the launcher. Throws `not_found`, `unavailable`. */
export type AskLauncher = (input: {
  jobId: string;
  afterVersion: number;
}) => Promise<OutputOf<typeof ReadJobForArchive>>;

/** What archiving stands on. */
export interface ArchiverDependencies {
  pool: Sql;
  schema: string;
  records: Records;
  proof: ProofQueries;
  queries: Pick<RecordQueries, 'hosts'>;
  launcher: AskLauncher;
  archive: Archive;
  /** Where files wait for their upload; the system's folder for temporary files when left out. */
  spool?: string;
}

/** Archives a job that is over, reads it back, and notes in its record where it lies. */
export type ArchiveJob = (jobId: string) => Promise<StoredArchive>;

/** Ingest itself, where its queries ask for somebody's rights. */
const itself: Principal = {
  userId: '00000000-0000-0000-0000-000000000000',
  username: 'gantry-ingest',
  superuser: true,
  auditor: true,
  organizations: {},
  tokenId: '00000000-0000-0000-0000-000000000000',
};

/**
 * Over a schema's tables and an archive. Throws `not_found`, what the launcher and the archive throw, and `defect` for a
 * record that does not verify: that is not archived, and so not dropped.
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
    await requireVerified(deps.proof, jobId);
    const folder = await mkdtemp(join(deps.spool ?? tmpdir(), 'gantry-archive-'));
    try {
      const file = await writeArchive(archiveOf(ownersOf(deps), jobId), join(folder, 'record.tar'));
      const name = `${record.endedOn!.replaceAll('-', '/')}/${archiveName(jobId)}.tar`;
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

/** An archive of something broken would be the last that is seen of it. */
const requireVerified = async (proof: ProofQueries, jobId: string): Promise<void> => {
  for (let state: ChainState | null = null; ;) {
    const checked: Awaited<ReturnType<ProofQueries['verify']>> = await proof.verify({ jobId, state }, itself);
    const [first] = checked.findings;
    if (first)
      throw new PlatformError(
        'defect',
        `The record of job ${jobId} is not archived, and so not dropped: ${first.message}`,
        {
          details: { jobId },
        },
      );
    state = checked.state;
    if (!state) return;
  }
};

/** The parts of an archive from those who own them: the job from the launcher, the rest from here. */
const ownersOf = ({ proof, queries, launcher }: ArchiverDependencies): AskOwner => {
  const answers: Record<string, (input: never) => Promise<unknown>> = {
    [GetJob.name]: async ({ jobId }: { jobId: string }) => (await launcher({ jobId, afterVersion: 0 })).job,
    [ReadJobStream.name]: (input: Parameters<AskLauncher>[0]) => launcher(input),
    [ReadRecordRow.name]: (input: never) => proof.row(input, itself),
    [ReadRecordStream.name]: (input: never) => proof.stream(input, itself),
    [ReadChunks.name]: (input: never) => proof.chunks(input, itself),
    [ListHostSummaries.name]: (input: never) => queries.hosts(input, itself),
  };
  // Parsed as a command that comes over the bus is: defaults filled in.
  return async (command, input) =>
    answers[command.name]!(command.input.parse(input) as never) as Promise<OutputOf<typeof command>>;
};

const writeArchive = async (pieces: AsyncIterable<Buffer>, path: string): Promise<ArchiveFile> => {
  const hash = createHash('sha256');
  const handle = await open(path, 'w');
  let sizeBytes = 0;
  try {
    for await (const piece of pieces) {
      hash.update(piece);
      await handle.writeFile(piece);
      sizeBytes += piece.length;
    }
  } finally {
    await handle.close();
  }
  return { path, sizeBytes, sha256: hash.digest('hex') };
};

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
