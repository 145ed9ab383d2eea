/** An exported job as a file (docs/RECORD.md section 5): its entries, its manifest, its events. */
import { open, type FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { PlatformError } from '@gantry/contracts/errors';
import { ArchiveManifest, type Finding } from '@gantry/contracts/proof';
import { finding } from '@gantry/eventlog/stream-check';
import { difference, modifiedAt, onlyHeader, readAt, readTar, type TarEntry } from './tar-file.js';

/** An entry with the path it must have, relative to the archive's folder. */
export interface ArchiveEntry extends TarEntry {
  name: string;
  /** Never null: from its header, else by what else is known. */
  sizeBytes: number;
}

/** An opened archive. */
export interface Archive {
  jobId: string;
  entries: ArchiveEntry[];
  /** Null when it cannot be read. */
  manifest: ArchiveManifest | null;
  /** What is wrong with the frame: tar headers, padding, names, the manifest's form. */
  findings: Finding[];
  entry(name: string): ArchiveEntry | undefined;
  /** The chunk in this place, if there stands one: from 0. */
  chunkAt(index: number): ArchiveEntry | undefined;
  read(entry: ArchiveEntry): Promise<Buffer>;
  /** In pieces of at most a megabyte. */
  stream(entry: ArchiveEntry): AsyncGenerator<Buffer>;
  close(): Promise<void>;
}

const FIRST = ['README.txt', 'job.ndjson', 'record.ndjson', 'hosts.ndjson'];
const LAST = ['manifest.json', 'SHA256SUMS'];
const folder = /^gantry-job-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\//;
const PIECE = 1024 * 1024;
/** Of one file that is read whole: a manifest of a billion events would be as large. */
const MOST_BYTES = 512 * 1024 * 1024;
/** No batch is larger when ingest takes it (docs/PROTOCOL.md). */
const MOST_RAW_BYTES = 64 * 1024 * 1024;

/** Opens a file. Throws `not_found` when there is none, `invalid` for what is no archive of a job. */
export const openArchive = async (path: string): Promise<Archive> => {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    throw new PlatformError(
      error.code === 'ENOENT' ? 'not_found' : 'invalid',
      `${path} cannot be read: ${error.message}`,
    );
  });
  try {
    return await readArchive(file, path);
  } catch (error) {
    await file.close();
    throw error;
  }
};

const readArchive = async (file: FileHandle, path: string): Promise<Archive> => {
  const { size } = await file.stat();
  const { entries, findings } = await readTar(file, size);
  const jobId = mostFrequent(
    entries.flatMap((entry) => (entry.sound ? (folder.exec(entry.path)?.[1] ?? []) : [])),
  );
  if (!jobId)
    throw new PlatformError('invalid', `${path} is not the archive of a job: \`gantry export\` makes one.`);
  const manifestEntry = entries.find(({ path: each }) => each.endsWith('/manifest.json')) ?? entries.at(-2);
  const { manifest, problem } = await readManifest(file, manifestEntry);
  if (problem) findings.push(problem);
  const names = manifest
    ? [...FIRST, ...manifest.chunks.map((chunk) => chunk.file), ...LAST]
    : entries.map(({ path: each }) => each.replace(folder, ''));
  const named = nameEntries(entries, names, manifest);
  const modified = manifest
    ? Math.floor(Date.parse(manifest.job.finishedAt) / 1_000)
    : Number(mostFrequent(entries.map(({ header }) => String(modifiedAt(header)))));
  findings.push(...checkHeaders(named, jobId, modified), ...missing(named, names));
  const byName = new Map(named.map((entry) => [entry.name, entry]));
  return {
    jobId,
    entries: named,
    manifest,
    findings,
    entry: (name) => byName.get(name),
    chunkAt: (index) => {
      const entry = named[FIRST.length + index];
      return entry?.name.startsWith('chunks/') ? entry : undefined;
    },
    read: async (entry) => {
      if (entry.sizeBytes > MOST_BYTES)
        throw new PlatformError(
          'invalid',
          `${path}: ${entry.name} has ${entry.sizeBytes} bytes, more than an archive of ours ever holds in one file.`,
        );
      return readAt(file, entry.from, entry.sizeBytes);
    },
    stream: async function* (entry) {
      for (let at = 0; at < entry.sizeBytes; at += PIECE)
        yield await readAt(file, entry.from + at, Math.min(PIECE, entry.sizeBytes - at));
    },
    close: () => file.close(),
  };
};

const mostFrequent = (values: readonly string[]): string | undefined => {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0];
};

const readManifest = async (
  file: FileHandle,
  entry: TarEntry | undefined,
): Promise<{ manifest: ArchiveManifest | null; problem: Finding | null }> => {
  const text = entry
    ? await readAt(file, entry.from, entry.sizeBytes ?? entry.next - entry.from)
    : Buffer.alloc(0);
  try {
    const manifest = ArchiveManifest.parse(JSON.parse(withoutPadding(text).toString('utf8')));
    if (Number.isNaN(Date.parse(manifest.job.finishedAt))) throw new Error('job.finishedAt is no time');
    return { manifest, problem: null };
  } catch (error) {
    const why = error instanceof SyntaxError ? error.message : 'it has another form than it must.';
    return {
      manifest: null,
      problem: finding(
        'file',
        `manifest.json cannot be read: ${why} The chunks cannot be checked without it.`,
        {
          column: 'manifest.json',
        },
      ),
    };
  }
};

/** Text never ends with NULs; the padding of a tar is nothing else. */
const withoutPadding = (content: Buffer): Buffer => {
  let end = content.length;
  while (end > 0 && content[end - 1] === 0) end -= 1;
  return content.subarray(0, end);
};

/** Entries stand in a fixed order: one whose header is damaged is known by its place. */
const nameEntries = (
  entries: readonly TarEntry[],
  names: readonly string[],
  manifest: ArchiveManifest | null,
): ArchiveEntry[] => {
  const lengths = new Map(manifest?.chunks.map((chunk) => [chunk.file, chunk.storedLength]));
  return entries.map((entry, index) => {
    const own = entry.path.replace(folder, '');
    const name = entry.sound ? own : (names[index] ?? own);
    return { ...entry, name, sizeBytes: entry.sizeBytes ?? lengths.get(name) ?? entry.next - entry.from };
  });
};

const checkHeaders = (entries: readonly ArchiveEntry[], jobId: string, modified: number): Finding[] =>
  entries.flatMap(({ name, sizeBytes, header, from }) => {
    const only = onlyHeader(`gantry-job-${jobId}/${name}`, sizeBytes, modified);
    return difference(`the tar header of ${name}`, header, only, from - header.length) ?? [];
  });

const missing = (entries: readonly ArchiveEntry[], names: readonly string[]): Finding[] => {
  const [there, wanted] = [entries.map(({ name }) => name), [...new Set([...names, ...FIRST, ...LAST])]];
  const [thereSet, wantedSet] = [new Set(there), new Set(wanted)];
  const say = (name: string, message: string): Finding => finding('file', message, { column: name });
  const findings = [
    ...wanted
      .filter((name) => !thereSet.has(name))
      .map((name) => say(name, `${name} is missing in the archive.`)),
    ...there
      .filter((name) => !wantedSet.has(name))
      .map((name) => say(name, `${name} is in the archive, but not in its manifest.`)),
  ];
  const displaced = there.findIndex((name, index) => name !== names[index]);
  if (findings.length === 0 && (displaced >= 0 || there.length !== names.length))
    findings.push(
      say(there[displaced] ?? '', `${there[displaced] ?? 'A file'} is not in its place among the files.`),
    );
  return findings;
};

/** An event of the record, as far as showing it needs. */
export interface ShownEvent {
  counter: number;
  created: string | null;
  stdout: string;
  /** Where it stands in the output: an event may print blank lines that its text does not end with. */
  startLine: number;
  endLine: number;
}

/** The events in a chunk's bytes; lines that are no JSON are left out. Throws when it cannot be unpacked, or not within 64 MiB. */
export const eventsOf = async (payload: Buffer): Promise<ShownEvent[]> => {
  const raw = await promisify(gunzip)(payload, { maxOutputLength: MOST_RAW_BYTES });
  return raw
    .toString('utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        const event = JSON.parse(line) as Record<string, unknown>;
        if (typeof event['counter'] !== 'number') return [];
        const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
        const whole = (value: unknown): number => (Number.isInteger(value) ? (value as number) : 0);
        return {
          counter: event['counter'],
          created: text(event['created']),
          stdout: text(event['stdout']) ?? '',
          startLine: whole(event['start_line']),
          endLine: whole(event['end_line']),
        };
      } catch {
        return [];
      }
    });
};
