/** A pod as ingest sees one, speaking docs/PROTOCOL.md part 1 over HTTP: for tests and measurements. */
import { createHash, randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { gzipSync } from 'node:zlib';
import { chainStart } from '../record.commands.js';

/** An answer of the pod port. */
export interface PodReply {
  status: number;
  body: Record<string, unknown> & { details?: Record<string, unknown> };
  bytes: Buffer;
}

/** A batch ready to be sent, any number of times. */
export interface TestBatch {
  headers: Record<string, string>;
  body: Buffer;
  lastCounter: number;
  lastLine: number;
  hash: string;
}

/** Where a pod calls: `port` on loopback, or a socket. */
export type PodTarget = { port: number } | { socketPath: string };

/** A pod of one attempt. It remembers its chain like an agent. */
export interface TestPod {
  readonly bearer: string;
  /** Hex, as OpenRecord wants it. */
  readonly bearerSha256: string;
  counter: number;
  line: number;
  head: string;
  call(
    path: string,
    body?: Buffer | object,
    headers?: Record<string, string>,
    method?: string,
  ): Promise<PodReply>;
  /** The next batch, not sent: each event is completed with counter and lines. */
  cut(events: readonly object[]): TestBatch;
  /** The next batch of these very lines (without newlines), whatever they are; they print nothing. */
  cutLines(lines: readonly (string | Buffer)[]): TestBatch;
  send(batch: TestBatch, headers?: Record<string, string>): Promise<PodReply>;
}

/** A pod with a fresh bearer. */
export const createTestPod = (target: PodTarget, jobId: string, epoch = 1): TestPod => {
  const bearer = randomBytes(32).toString('base64url');
  const pod: TestPod = {
    bearer,
    bearerSha256: createHash('sha256').update(bearer).digest('hex'),
    counter: 0,
    line: 0,
    head: chainStart(jobId),
    call: (path, body, headers = {}, method = 'POST') => {
      const bytes = body === undefined || Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
      return exchange(target, method, `/pods/v1/jobs/${jobId}/${path}`, bytes, {
        Authorization: `Bearer ${bearer}`,
        'Gantry-Epoch': String(epoch),
        ...headers,
      });
    },
    cut: (events) => {
      let [counter, line] = [pod.counter, pod.line];
      const lines = events.map((event) => {
        const stdout = (event as { stdout?: string }).stdout ?? '';
        const count = stdout === '' ? 0 : stdout.split('\r\n').length;
        counter += 1;
        line += count;
        return JSON.stringify({
          uuid: `${jobId}-${counter}`,
          counter,
          start_line: line - count,
          end_line: line,
          event: 'verbose',
          event_data: {},
          ...event,
          stdout,
        });
      });
      return cutBatch(pod, lines, line);
    },
    cutLines: (lines) => cutBatch(pod, lines, pod.line),
    send: (batch, headers = {}) => pod.call('chunks', batch.body, { ...batch.headers, ...headers }),
  };
  return pod;
};

const cutBatch = (pod: TestPod, lines: readonly (string | Buffer)[], lastLine: number): TestBatch => {
  const raw = Buffer.concat(
    lines.flatMap((line) => [Buffer.isBuffer(line) ? line : Buffer.from(line), Buffer.from('\n')]),
  );
  const hash = createHash('sha256').update(Buffer.from(pod.head, 'hex')).update(raw).digest('hex');
  const batch: TestBatch = {
    headers: {
      'Content-Encoding': 'gzip',
      'Gantry-First-Counter': String(pod.counter + 1),
      'Gantry-Last-Counter': String(pod.counter + lines.length),
      'Gantry-First-Line': String(pod.line),
      'Gantry-Last-Line': String(lastLine),
      'Gantry-Raw-Bytes': String(raw.length),
      'Gantry-Previous-Hash': pod.head,
      'Gantry-Hash': hash,
    },
    body: gzipSync(raw, { level: 1 }),
    lastCounter: pod.counter + lines.length,
    lastLine,
    hash,
  };
  [pod.counter, pod.line, pod.head] = [batch.lastCounter, lastLine, hash];
  return batch;
};

const exchange = (
  target: PodTarget,
  method: string,
  path: string,
  body: Buffer | undefined,
  headers: Record<string, string>,
): Promise<PodReply> =>
  new Promise((resolve, reject) => {
    const where = 'port' in target ? { host: '127.0.0.1', port: target.port } : target;
    const sent = request(
      { ...where, method, path, headers: { ...headers, 'Content-Length': String(body?.length ?? 0) } },
      (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('end', () => {
          const bytes = Buffer.concat(pieces);
          const json = response.headers['content-type'] === 'application/json';
          resolve({
            status: response.statusCode ?? 0,
            body: json ? (JSON.parse(bytes.toString()) as PodReply['body']) : {},
            bytes,
          });
        });
        response.on('error', reject);
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
