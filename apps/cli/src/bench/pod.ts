/** A pod's side of docs/PROTOCOL.md part 1 as the bench needs it: chained batches, one call at a time, repeated until answered. */
import { createHash } from 'node:crypto';
import { Agent, request } from 'node:http';
import { gzipSync } from 'node:zlib';
import type { EventSource } from './events.js';

/** A job whose record is open, and who may speak for it. */
export interface BenchJob {
  jobId: string;
  bearer: string;
  seed: number;
}

/** A batch as it goes over the wire. */
export interface Batch {
  headers: Record<string, string>;
  body: Buffer;
  lastCounter: number;
}

/** A job's chain as its agent keeps it. */
export interface Chain {
  counter: number;
  line: number;
  /** Hex. */
  head: string;
}

/** The chain of a job that has sent nothing. */
export const emptyChain = (jobId: string): Chain => ({
  counter: 0,
  line: 0,
  head: createHash('sha256').update(`gantry:${jobId}`).digest('hex'),
});

/** Cuts the next batch of so many events and moves the chain. */
export const cutBatch = (chain: Chain, source: EventSource, events: number): Batch => {
  let text = '';
  let lines = 0;
  for (let index = 0; index < events; index++) {
    const event = source.next();
    text += `${event.json}\n`;
    lines += event.lines;
  }
  return sealBatch(chain, text, events, lines);
};

/** A batch of these very lines of NDJSON. Moves the chain. */
export const sealBatch = (chain: Chain, text: string, events: number, lines: number): Batch => {
  const raw = Buffer.from(text);
  const hash = createHash('sha256').update(Buffer.from(chain.head, 'hex')).update(raw).digest('hex');
  const batch: Batch = {
    headers: {
      'Content-Encoding': 'gzip',
      'Gantry-First-Counter': String(chain.counter + 1),
      'Gantry-Last-Counter': String(chain.counter + events),
      'Gantry-First-Line': String(chain.line),
      'Gantry-Last-Line': String(chain.line + lines),
      'Gantry-Raw-Bytes': String(raw.length),
      'Gantry-Previous-Hash': chain.head,
      'Gantry-Hash': hash,
    },
    body: gzipSync(raw, { level: 6 }),
    lastCounter: chain.counter + events,
  };
  [chain.counter, chain.line, chain.head] = [batch.lastCounter, chain.line + lines, hash];
  return batch;
};

const connections = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY, noDelay: true });
const AGAIN_MILLISECONDS = 100;
const PATIENCE_MILLISECONDS = 60_000;

interface Answer {
  status: number;
  body: {
    committed?: number;
    flushMilliseconds?: number;
    message?: string;
    details?: { expected?: number };
  };
}

const exchange = (url: string, headers: Record<string, string>, body: Buffer): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const sent = request(
      url,
      { method: 'POST', agent: connections, headers: { ...headers, 'Content-Length': String(body.length) } },
      (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('error', reject);
        response.on('end', () => {
          try {
            const text = Buffer.concat(pieces).toString();
            resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as Answer['body'] });
          } catch (error) {
            reject(error as Error);
          }
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });

/**
 * One call of a job's pod. What an agent would send again (5xx, 429, no answer) is sent again for a minute. Rejects with
 * ingest's own words for any other answer but 200; 409 that says the batch is committed counts as 200. Resolves with the
 * milliseconds after which ingest wants the next batch, 0 when it did not say.
 */
export const callIngest = async (
  base: string,
  job: BenchJob,
  path: 'chunks' | 'finish',
  body: Buffer,
  headers: Record<string, string> = {},
  lastCounter = 0,
): Promise<number> => {
  const url = `${base}/pods/v1/jobs/${job.jobId}/${path}`;
  const all = { Authorization: `Bearer ${job.bearer}`, 'Gantry-Epoch': '1', ...headers };
  for (const started = performance.now(); ;) {
    const answer = await exchange(url, all, body).catch((error: Error): Answer => ({
      status: 0,
      body: { message: error.message },
    }));
    if (answer.status === 200) return answer.body.flushMilliseconds ?? 0;
    if (answer.status === 409 && answer.body.details?.expected === lastCounter + 1) return 0;
    const passing = answer.status === 0 || answer.status === 429 || answer.status >= 500;
    if (!passing || performance.now() - started > PATIENCE_MILLISECONDS)
      throw new Error(`${path} of job ${job.jobId}: ${answer.status} ${answer.body.message ?? ''}`);
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MILLISECONDS));
  }
};

/** Sends a batch; resolves as `callIngest`. */
export const sendBatch = (base: string, job: BenchJob, batch: Batch): Promise<number> =>
  callIngest(base, job, 'chunks', batch.body, batch.headers, batch.lastCounter);

/** The agent's last word: ingest seals only if count and hash are what it has. */
export const sendFinish = async (base: string, job: BenchJob, chain: Chain): Promise<void> => {
  const word = {
    lastCounter: chain.counter,
    lastLine: chain.line,
    hash: chain.head,
    status: 'successful',
    exitCode: 0,
    reason: null,
    artifacts: {},
  };
  await callIngest(base, job, 'finish', Buffer.from(JSON.stringify(word)));
};
