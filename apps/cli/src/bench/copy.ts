/**
 * What ingest is compared with: COPY of the same events, one row each as jsonb with (job, counter) as key, into the same Postgres
 * in the same run. A process of its own: its CPU is what a writer without HTTP, validation, chain and index would need.
 * Started by `copyRows` (copy.process.ts): plan -> (prepares) -> `ready`; `go` -> COPY, a transaction for each 1,000 -> `done`.
 */
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { createEventSource } from './events.js';

/** What to copy. */
export interface CopyPlan {
  databaseUrl: string;
  jobIds: string[];
  eventsPerJob: number;
  hosts: number;
}
/** What it took this process. */
export interface CopyDone {
  seconds: number;
  cpuSeconds: number;
}
/** From the parent. */
export type CopyOrder = { kind: 'plan'; plan: CopyPlan } | { kind: 'go' };
/** To the parent. */
export type CopyWord =
  { kind: 'ready' } | { kind: 'done'; done: CopyDone } | { kind: 'failed'; message: string };

const ROWS_OF_A_TRANSACTION = 1_000;
const escapes: Record<string, string> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };
const escaped = (text: string): string => text.replace(/[\\\t\n\r]/g, (found) => escapes[found]!);

let url = '';
let pieces: Buffer[] = [];

const prepare = (plan: CopyPlan): void => {
  url = plan.databaseUrl;
  let rows: string[] = [];
  const flush = (): void => {
    if (rows.length > 0) pieces.push(Buffer.from(rows.join('')));
    rows = [];
  };
  pieces = [];
  plan.jobIds.forEach((jobId, index) => {
    const source = createEventSource(index + 1, jobId, plan.hosts);
    for (let counter = 1; counter <= plan.eventsPerJob; counter++) {
      rows.push(`${jobId}\t${counter}\t${escaped(source.next().json)}\n`);
      if (rows.length === ROWS_OF_A_TRANSACTION) flush();
    }
  });
  flush();
};

const copy = async (): Promise<CopyDone> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const cpu = process.cpuUsage();
  const started = performance.now();
  for (const piece of pieces) {
    const stream = client.query(copyFrom('copy public.bench_event (job_id, counter, event) from stdin'));
    await new Promise<void>((resolve, reject) => {
      stream.once('finish', resolve).once('error', reject);
      stream.end(piece);
    });
  }
  const seconds = (performance.now() - started) / 1_000;
  const used = process.cpuUsage(cpu);
  await client.end();
  return { seconds, cpuSeconds: (used.user + used.system) / 1e6 };
};

const tell = (word: CopyWord): void => void process.send!(word);
const obey = async (order: CopyOrder): Promise<void> => {
  if (order.kind === 'go') return tell({ kind: 'done', done: await copy() });
  prepare(order.plan);
  tell({ kind: 'ready' });
};
process.on('message', (order: CopyOrder) => {
  obey(order).catch((error: Error) => tell({ kind: 'failed', message: error.message }));
});
process.on('disconnect', () => process.exit(0));
