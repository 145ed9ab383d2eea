/**
 * A pod as ingest sees one, played by the tests: numbers its events, chains them, keeps every batch until it is committed
 * (docs/PROTOCOL.md part 1). Counts every answer it gets.
 */
import { createHash, randomBytes } from 'node:crypto';
import { Agent, request } from 'node:http';
import { gzipSync } from 'node:zlib';
import { world } from '../e2e/api.js';
import { pause } from './parts.js';

/** A cut batch: the same bytes however often it is sent. */
export interface Batch {
  first: number;
  last: number;
  headers: Record<string, string>;
  body: Buffer;
}

/** An answer of ingest; status 0 when none came. */
export interface Reply {
  status: number;
  body: { code?: string; message?: string; committed?: number; details?: Record<string, unknown> };
}

/** A pod of one attempt. */
export interface Pod {
  readonly jobId: string;
  readonly epoch: number;
  readonly bearerSha256: string;
  /** How often each status came as an answer; 0: no answer. */
  readonly answers: Map<number, number>;
  /** The last answer. */
  last: Reply | null;
  /** The last counter that ingest has acknowledged. */
  committed: number;
  /** What was cut so far. */
  counter: number;
  line: number;
  head: string;
  /** Cuts a batch of these events, completed with counter and lines. Not sent. */
  cut(events: readonly object[]): Batch;
  /** Cuts a batch of these very lines, whatever they are; they print nothing. Not sent. */
  cutLines(lines: readonly (string | Buffer)[]): Batch;
  /** Sends once. Never throws. */
  send(batch: Batch): Promise<Reply>;
  /** Calls ingest; without a body it gets, with one it posts. */
  call(path: string, body: Buffer | object | null, headers?: Record<string, string>): Promise<Reply>;
  /** Cuts a batch and lets it wait its turn. */
  enqueue(events: readonly object[]): void;
  /** Resolves once nothing waits. Throws when ingest refuses, or says that it lost what it had acknowledged. */
  delivered(): Promise<void>;
  /** Delivers everything, and says how the job ended; again until it is answered. */
  finish(status?: string): Promise<void>;
}

const agent = new Agent({ keepAlive: true, maxSockets: 64 });
const sha256 = (...parts: (Buffer | string)[]): Buffer =>
  parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();

/** A pod that calls the world's TCP port, or `port`. */
export const createPod = (jobId: string, epoch: number, port = Number(new URL(world.pods).port)): Pod => {
  const bearer = randomBytes(32).toString('base64url');
  const waiting: Batch[] = [];
  let delivering: Promise<void> | null = null;

  const cutRaw = (lines: readonly (string | Buffer)[], lastLine: number): Batch => {
    const raw = Buffer.concat(lines.flatMap((line) => [Buffer.from(line), Buffer.from('\n')]));
    const hash = sha256(Buffer.from(pod.head, 'hex'), raw).toString('hex');
    const [first, last] = [pod.counter + 1, pod.counter + lines.length];
    const headers = {
      'Content-Encoding': 'gzip',
      'Gantry-First-Counter': String(first),
      'Gantry-Last-Counter': String(last),
      'Gantry-First-Line': String(pod.line),
      'Gantry-Last-Line': String(lastLine),
      'Gantry-Raw-Bytes': String(raw.length),
      'Gantry-Previous-Hash': pod.head,
      'Gantry-Hash': hash,
    };
    [pod.counter, pod.line, pod.head] = [last, lastLine, hash];
    return { first, last, headers, body: gzipSync(raw, { level: 1 }) };
  };

  const deliver = async (): Promise<void> => {
    while (waiting.length > 0) {
      const batch = waiting[0]!;
      const { status, body } = await pod.send(batch);
      if (status === 200) {
        pod.committed = Math.max(pod.committed, body.committed!);
        while (waiting[0] && waiting[0].last <= pod.committed) waiting.shift();
      } else if (status === 409 && typeof body.details?.['expected'] === 'number') {
        const expected = body.details['expected'];
        if (body.details['reason'] === 'integrity' || expected <= pod.committed)
          throw new Error(
            `event ${pod.committed} was acknowledged, and now ingest says: ${body.message ?? ''}`,
          );
        while (waiting[0] && waiting[0].last < expected) waiting.shift();
      } else if (status === 0 || status >= 500 || status === 429) {
        await pause(100);
      } else throw new Error(`ingest refuses with ${status}: ${JSON.stringify(body)}`);
    }
  };

  const pod: Pod = {
    jobId,
    epoch,
    bearerSha256: sha256(bearer).toString('hex'),
    answers: new Map(),
    last: null,
    committed: 0,
    counter: 0,
    line: 0,
    head: sha256(`gantry:${jobId}`).toString('hex'),
    cut: (events) => {
      let [counter, line] = [pod.counter, pod.line];
      const lines = events.map((event) => {
        const stdout = (event as { stdout?: string }).stdout ?? '';
        const count = stdout === '' ? 0 : stdout.split('\n').length;
        counter += 1;
        line += count;
        return JSON.stringify({
          uuid: `${jobId}-${counter}`,
          event: 'verbose',
          runner_ident: jobId,
          created: new Date().toISOString(),
          ...event,
          counter,
          start_line: line - count,
          end_line: line,
          stdout,
        });
      });
      return cutRaw(lines, line);
    },
    cutLines: (lines) => cutRaw(lines, pod.line),
    call: async (path, body, headers = {}) => {
      const reply = await exchange(
        port,
        `/pods/v1/jobs/${jobId}/${path}`,
        body === null || Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body)),
        { Authorization: `Bearer ${bearer}`, 'Gantry-Epoch': String(epoch), ...headers },
      );
      pod.last = reply;
      pod.answers.set(reply.status, (pod.answers.get(reply.status) ?? 0) + 1);
      return reply;
    },
    send: (batch) => pod.call('chunks', batch.body, batch.headers),
    enqueue: (events) => {
      waiting.push(pod.cut(events));
      if (delivering) return;
      delivering = deliver().finally(() => (delivering = null));
      delivering.catch(() => undefined);
    },
    delivered: async () => {
      await (delivering ?? (waiting.length > 0 ? deliver() : undefined));
    },
    finish: async (status = 'successful') => {
      await pod.delivered();
      const said = {
        lastCounter: pod.counter,
        lastLine: pod.line,
        hash: pod.head,
        status,
        exitCode: status === 'successful' ? 0 : 2,
        reason: null,
        artifacts: {},
      };
      for (;;) {
        const reply = await pod.call('finish', said);
        if (reply.status === 200) return;
        if (reply.status !== 0 && reply.status < 500) throw new Error(JSON.stringify(reply));
        await pause(100);
      }
    },
  };
  return pod;
};

/** An event of about a kilobyte, as a task that ran on a host makes it. */
export const usualEvent = (number: number): object => ({
  event: 'runner_on_ok',
  pid: 7,
  parent_uuid: 'f0e1d2c3',
  stdout: `ok: [host-${number % 20}] => (item=${number})`,
  event_data: {
    playbook: 'site.yml',
    play: 'Play',
    task: `Task ${Math.floor(number / 100)}`,
    task_uuid: `task-${Math.floor(number / 100)}`,
    host: `host-${number % 20}`,
    duration: 0.012,
    res: {
      changed: number % 7 === 0,
      rc: 0,
      item: number,
      stdout: `${number} `.repeat(100),
      _ansible_no_log: false,
    },
  },
});

/** Prints at a steady rate for so long; a batch for every tenth of a second. Stops early when `signal` fires. */
export const print = async (
  pod: Pod,
  { perSecond, seconds, signal }: { perSecond: number; seconds: number; signal?: AbortSignal },
): Promise<void> => {
  const began = performance.now();
  for (let made = 0; !signal?.aborted;) {
    const elapsed = Math.min((performance.now() - began) / 1000, seconds);
    const due = Math.floor(elapsed * perSecond);
    for (; made < due; made += 200) {
      const size = Math.min(200, due - made);
      pod.enqueue(Array.from({ length: size }, (_, index) => usualEvent(made + index)));
      if (size < 200) {
        made += size;
        break;
      }
    }
    if (elapsed >= seconds) return;
    await pause(100);
  }
};

const exchange = (
  port: number,
  path: string,
  body: Buffer | null,
  headers: Record<string, string>,
): Promise<Reply> =>
  new Promise((resolve) => {
    const none = (): void => resolve({ status: 0, body: {} });
    const sent = request(
      {
        host: '127.0.0.1',
        port,
        method: body ? 'POST' : 'GET',
        path,
        agent,
        timeout: 15_000,
        headers: { ...headers, ...(body && { 'Content-Length': String(body.length) }) },
      },
      (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('end', () => {
          try {
            const text = Buffer.concat(pieces).toString();
            resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as Reply['body'] });
          } catch {
            none();
          }
        });
        response.on('error', none);
        response.on('aborted', none);
      },
    );
    sent.on('timeout', () => sent.destroy(new Error('no answer')));
    sent.on('error', none);
    sent.end(body ?? undefined);
  });
