/** Checking an exported job offline: every byte of the file, and all that `gantry verify` checks in the database. */
import { createHash } from 'node:crypto';
import { LinkedEvent, type Finding } from '@gantry/contracts/proof';
import {
  chainBegin,
  checkChunk,
  checkJobWord,
  checkRow,
  checkSeal,
  sealOf,
  type SealData,
} from '@gantry/eventlog/record-check';
import { checkStream, finding, nearlyEqual, type StreamPart } from '@gantry/eventlog/stream-check';
import type { Archive, ArchiveEntry } from './archive.js';

/** What a check gives. */
export interface ArchiveReport {
  findings: Finding[];
  events: number;
  gaps: number;
  seal: SealData | null;
}

/** Looks at everything; `progress` is told the last event looked at. */
export const checkArchive = async (
  archive: Archive,
  progress: (counter: number) => void = () => undefined,
): Promise<ArchiveReport> => {
  const damaged = await checkSums(archive);
  const job = await readStream(archive, 'job_stream', 'job.ndjson', `job-${archive.jobId}`);
  const record = await readStream(archive, 'record_stream', 'record.ndjson', `record-${archive.jobId}`);
  const chunks = await checkChunks(archive, damaged, progress);
  const sound = record.findings.length === 0;
  const row = archive.manifest?.record ?? null;
  const seal = sound ? sealOf(record.events) : (row?.seal ?? null);
  // A file of which something better was said need not be named again.
  for (const [file, { findings }] of [
    ['job.ndjson', job],
    ['record.ndjson', record],
  ] as const)
    if (findings.length > 0) damaged.delete(file);
  const rest = archive.manifest
    ? [
        ...(row ? checkRow(chunks.state, row, sound ? record.events : null) : []),
        ...(sound ? checkSeal(chunks.state, seal) : []),
        ...checkManifest(archive, job.events, record.events, job.findings.length > 0 || !sound),
      ]
    : [];
  return {
    findings: [
      ...archive.findings,
      ...damaged.values(),
      ...record.findings,
      ...chunks.findings,
      ...rest,
      ...job.findings,
      ...checkJobWord(job.events, job.findings, seal),
    ],
    events: chunks.state.counter,
    gaps: chunks.state.gaps,
    seal,
  };
};

const sha256 = async (archive: Archive, entry: ArchiveEntry): Promise<string> => {
  const hash = createHash('sha256');
  for await (const piece of archive.stream(entry)) hash.update(piece);
  return hash.digest('hex');
};

/** Files that do not have the sum that SHA256SUMS says, by name; that file's own faults under its own name. */
const checkSums = async (archive: Archive): Promise<Map<string, Finding>> => {
  const faults = new Map<string, Finding>();
  const own = archive.entry('SHA256SUMS');
  if (!own) return faults;
  const say = (name: string, message: string, found: string, expected: string): void =>
    void faults.set(name, finding('file', message, { column: name, found, expected }));
  const said = (await archive.read(own)).toString('latin1').split('\n');
  const files = archive.entries.filter((entry) => entry !== own);
  for (const [index, entry] of files.entries()) {
    const sum = await sha256(archive, entry);
    const line = said[index] ?? '';
    if (line === `${sum}  ${entry.name}`) continue;
    const [hash, name] = [line.slice(0, 64), line.slice(64)];
    const lineDamaged = name !== `  ${entry.name}` || !/^[0-9a-f]{64}$/.test(hash) || nearlyEqual(hash, sum);
    if (lineDamaged)
      say('SHA256SUMS', `Line ${index + 1} of SHA256SUMS was changed.`, line, `${sum}  ${entry.name}`);
    else say(entry.name, `${entry.name} was changed: its SHA-256 is ${sum}, it must be ${hash}.`, sum, hash);
  }
  if (said.slice(files.length).join('\n') !== '')
    say(
      'SHA256SUMS',
      `SHA256SUMS has more than ${files.length} lines.`,
      said.slice(files.length).join(' '),
      '',
    );
  return faults;
};

const readStream = async (
  archive: Archive,
  part: StreamPart,
  file: string,
  stream: string,
): Promise<{ events: LinkedEvent[]; findings: Finding[] }> => {
  const entry = archive.entry(file);
  if (!entry) return { events: [], findings: [] };
  const lines = (await archive.read(entry)).toString('utf8').split('\n');
  if (lines.at(-1) === '') lines.pop();
  const events: LinkedEvent[] = [];
  for (const [index, line] of lines.entries()) {
    try {
      events.push(LinkedEvent.parse(JSON.parse(line)));
    } catch {
      const message = `Line ${index + 1} of ${file}, event ${index + 1} of ${stream}, cannot be read.`;
      return { events: [], findings: [finding(part, message, { version: index + 1, column: file })] };
    }
  }
  return { events, findings: checkStream(part, stream, events) };
};

const checkChunks = async (
  archive: Archive,
  damaged: Map<string, Finding>,
  progress: (counter: number) => void,
) => {
  let state = chainBegin(archive.jobId);
  const findings: Finding[] = [];
  for (const [index, { file, storedLength, ...header }] of (archive.manifest?.chunks ?? []).entries()) {
    // A wrong name in the manifest is said of the manifest; the chunk still stands in its place.
    const entry = archive.entry(file) ?? archive.chunkAt(index);
    if (!entry) continue;
    const payload = await archive.read(entry);
    const checked = await checkChunk(archive.jobId, state, header, payload);
    if (payload.length !== storedLength)
      findings.push(
        finding('file', `${file} has ${payload.length} bytes, the manifest says ${storedLength}.`, {
          column: file,
          found: String(payload.length),
          expected: String(storedLength),
        }),
      );
    if (checked.findings.some(({ column }) => column === 'payload')) damaged.delete(file);
    findings.push(...checked.findings);
    state = checked.state;
    progress(state.counter);
  }
  return { state, findings };
};

/** What the manifest says beside the chunks. */
const checkManifest = (
  archive: Archive,
  job: readonly LinkedEvent[],
  record: readonly LinkedEvent[],
  unreadable: boolean,
): Finding[] => {
  const { streams, job: summary, record: row } = archive.manifest!;
  const finished = job.find(({ type }) => type === 'job.finished')?.data as { status?: string } | undefined;
  const pairs: [what: string, said: unknown, is: unknown][] = [
    ['job.id', summary.id, archive.jobId],
    ['record.jobId', row?.jobId ?? archive.jobId, archive.jobId],
    ...(unreadable
      ? []
      : ([
          ['job.status', summary.status, finished?.status ?? null],
          ['streams.job.events', streams.job.events, job.length],
          ['streams.job.head', streams.job.head, job.at(-1)?.hash ?? ''],
          ['streams.record.events', streams.record.events, record.length],
          ['streams.record.head', streams.record.head, record.at(-1)?.hash ?? ''],
        ] satisfies [string, unknown, unknown][])),
  ];
  return pairs
    .filter(([, said, is]) => said !== is)
    .map(([what, said, is]) =>
      finding('file', `manifest.json says ${what} ${String(said)}, the files say ${String(is)}.`, {
        column: `manifest.json ${what}`,
        found: String(said),
        expected: String(is),
      }),
    );
};
