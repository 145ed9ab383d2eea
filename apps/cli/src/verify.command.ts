/** `gantry verify <job or file>`: is this record what was written? */
import { existsSync } from 'node:fs';
import { PlatformError } from '@gantry/contracts/errors';
import { openArchive } from './archive/archive.js';
import { checkArchive } from './archive/check-archive.js';
import { findEndpoint, request, type Endpoint } from './client.js';
import { exitCodes, paint, print, printJson, safeOutput } from './terminal.js';

/** What was found out about a record. */
export interface Verdict {
  job: string;
  /** Null: the record in the database. */
  file: string | null;
  /** Everything is as it was written. */
  intact: boolean;
  /** Sealed by the agent's own last word, without a gap. */
  complete: boolean;
  sealed: boolean;
  events: number;
  sha256: string | null;
  gaps: number;
  findings: { part: string; message: string; [more: string]: unknown }[];
}

const VERIFY = `query ($id: ID!, $after: String) { verifyJob(id: $id, after: $after) {
  cursor checkedEvents totalEvents gaps finished seal { count sha256 status }
  findings { part firstCounter lastCounter version column found expected message } } }`;

interface Step {
  cursor: string | null;
  checkedEvents: number;
  totalEvents: number;
  gaps: number;
  finished: boolean | null;
  seal: { count: number; sha256: string; status: string | null } | null;
  findings: Verdict['findings'];
}

/** A line on a terminal that is written over; nothing elsewhere. */
const progressLine = (): { show(text: string): void; end(): void } => {
  const terminal = Boolean(process.stderr.isTTY);
  return {
    show: (text) => void (terminal && process.stderr.write(`\r\u001b[K  … ${text}`)),
    end: () => void (terminal && process.stderr.write('\r\u001b[K')),
  };
};

const isJobId = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);

/** A job's id or a file? A file that is there goes first. Throws `invalid` for neither. */
export const jobOrFile = (target: string): 'job' | 'file' => {
  if (existsSync(target)) return 'file';
  if (isJobId(target)) return 'job';
  throw new PlatformError(
    'invalid',
    `${target} is neither a file nor the id of a job (./gantry jobs lists them).`,
  );
};

/** Checks a job in the database, a part at a time. */
export const verifyJob = async (endpoint: Endpoint, id: string): Promise<Verdict> => {
  const line = progressLine();
  const findings: Verdict['findings'] = [];
  for (let after: string | null = null; ;) {
    const { verifyJob: step }: { verifyJob: Step } = await request(endpoint, VERIFY, { id, after });
    findings.push(...step.findings);
    line.show(
      `${step.checkedEvents.toLocaleString('en')} of ${step.totalEvents.toLocaleString('en')} events`,
    );
    after = step.cursor;
    if (after) continue;
    line.end();
    return {
      job: id,
      file: null,
      intact: findings.length === 0,
      complete: step.seal?.status != null && step.gaps === 0,
      sealed: step.seal !== null,
      events: step.checkedEvents,
      sha256: step.seal?.sha256 ?? null,
      gaps: step.gaps,
      findings,
    };
  }
};

/** Checks an exported file; nothing but the file is needed. */
export const verifyFile = async (path: string): Promise<Verdict> => {
  const archive = await openArchive(path);
  const line = progressLine();
  try {
    const total = archive.manifest?.record?.lastCounter ?? 0;
    const { findings, events, gaps, seal } = await checkArchive(archive, (counter) =>
      line.show(`${counter.toLocaleString('en')} of ${total.toLocaleString('en')} events`),
    );
    return {
      job: archive.jobId,
      file: path,
      intact: findings.length === 0,
      complete: seal?.status != null && gaps === 0,
      sealed: seal !== null,
      events,
      sha256: seal?.sha256 ?? null,
      gaps,
      findings: findings.map((each) => ({ ...each, part: each.part.toUpperCase() })),
    };
  } finally {
    line.end();
    await archive.close();
  }
};

/** Findings that a terminal shows; all of them with --json. */
const SHOWN = 20;

/** Words out of a file that somebody may have made to play with the terminal of who checks it. */
export const oneLine = (message: string): string => safeOutput(message, false).replace(/\s+/g, ' ');

/** Says a verdict to a person. */
export const printVerdict = (verdict: Verdict): void => {
  const { job, file, intact, events, findings } = verdict;
  const what = file ? `${file} (job ${job})` : `The record of job ${job}`;
  if (!intact) {
    const count = findings.length === 1 ? 'one finding' : `${findings.length} findings`;
    print(`${paint.red('✗')} ${what} is ${paint.red('DAMAGED')}: ${count}`);
    for (const { message } of findings.slice(0, SHOWN)) print(`  - ${oneLine(message)}`);
    if (findings.length > SHOWN) print(paint.dim(`  and ${findings.length - SHOWN} more: --json lists all`));
    return;
  }
  print(
    `${paint.green('✓')} ${what} is ${paint.green('intact')}: ${events.toLocaleString('en')} events, ${stateOf(verdict)}`,
  );
};

const stateOf = ({ sealed, complete, gaps, sha256, events }: Verdict): string => {
  if (!sealed) return events === 0 ? 'no pod has written to it' : 'not sealed: it is still being written';
  const seal = `sealed with sha256 ${sha256}`;
  if (complete) return seal;
  if (gaps > 0) return `${seal}; its agent lost something in ${gaps} places and said so (events gantry_gap)`;
  return `${seal}; its pod ended without a last word, so nobody knows whether it had more to say`;
};

/** The command. */
export const verifyCommand = async (target: string, options: { json?: boolean }): Promise<number> => {
  const verdict =
    jobOrFile(target) === 'file'
      ? await verifyFile(target)
      : await verifyJob(findEndpoint(), target.toLowerCase());
  if (options.json) printJson(verdict);
  else printVerdict(verdict);
  return verdict.intact ? exitCodes.ok : exitCodes.failed;
};
