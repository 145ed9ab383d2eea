/**
 * A pod by docs/PROTOCOL.md part 1 alone: its keys, its proof, its chain, and HTTP. It sends what it is told to, right or wrong.
 */
import { createHash, createHmac, generateKeyPairSync } from 'node:crypto';
import { request } from 'node:http';
import { gzipSync } from 'node:zlib';

/** One attempt of a job, as a server opened it. */
export interface Attempt {
  jobId: string;
  epoch: number;
  token: string;
}

/** An answer, with the headers' status and the JSON body. */
export interface Reply {
  status: number;
  body: Record<string, unknown> & { details?: Record<string, unknown> };
  bytes: Buffer;
}

/** A batch; it can be sent any number of times. */
export interface Batch {
  headers: Record<string, string>;
  raw: Buffer;
  body: Buffer;
}

/** A public key as a JWK, and the proof that belongs to it. */
export interface Start {
  publicKey: Record<string, string>;
  proof: string;
  agent: Record<string, string | null>;
}

const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
/** The two keys that follow from a token (1.1). */
export const keysOf = (token: string) => ({
  bearer: hmac(token, 'gantry pod bearer').toString('base64url'),
  proofKey: hmac(token, 'gantry pod proof'),
});
/** The head of an empty record's chain (1.3), hex. */
export const chainStart = (jobId: string): string =>
  createHash('sha256').update(`gantry:${jobId}`).digest('hex');
/** The chain after a batch, hex. */
export const chained = (previous: string, raw: Buffer): string =>
  createHash('sha256').update(Buffer.from(previous, 'hex')).update(raw).digest('hex');

/** Speaks for an attempt and remembers where it is, as an agent does. */
export class Pod {
  counter = 0;
  line = 0;
  head: string;
  readonly bearer: string;
  private readonly proofKey: Buffer;

  constructor(
    readonly url: string,
    readonly attempt: Attempt,
  ) {
    this.head = chainStart(attempt.jobId);
    ({ bearer: this.bearer, proofKey: this.proofKey } = keysOf(attempt.token));
  }

  /** A start with a fresh key. */
  newStart(): Start {
    const { kty, crv, x, y } = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
      format: 'jwk',
    }) as Record<string, string>;
    // RFC 7638: the required members in the order of their names, without blanks.
    const members = JSON.stringify({ crv, kty, x, y });
    const thumbprint = createHash('sha256').update(members).digest('base64url');
    const { jobId, epoch } = this.attempt;
    return {
      publicKey: { kty: kty!, crv: crv!, x: x!, y: y! },
      proof: hmac(this.proofKey, `${jobId}.${epoch}.${thumbprint}`).toString('base64url'),
      agent: { version: '1', mode: 'direct', python: '3.13', ansibleCore: null, ansibleRunner: null },
    };
  }

  start(start: Start = this.newStart()): Promise<Reply> {
    return this.call('start', start);
  }

  heartbeat(): Promise<Reply> {
    return this.call('heartbeat', {});
  }

  /** The next batch: an event that prints one line for each text. Moves on. */
  cut(...texts: string[]): Batch {
    const events = texts.map((stdout, index) => ({
      counter: this.counter + index + 1,
      start_line: this.line + index,
      end_line: this.line + index + 1,
      runner_ident: this.attempt.jobId,
      uuid: `${this.attempt.jobId}-${this.counter + index + 1}`,
      event: 'verbose',
      stdout,
      created: '2026-01-01T00:00:00.000000+00:00',
    }));
    const batch = this.batchOf(
      events.map((event) => JSON.stringify(event)),
      texts.length,
    );
    this.counter += texts.length;
    this.line += texts.length;
    this.head = batch.headers['Gantry-Hash']!;
    return batch;
  }

  /** A batch of these very lines from where the pod is; it does not move on. */
  batchOf(lines: (string | Buffer)[], printed = 0): Batch {
    const raw = Buffer.concat(lines.flatMap((line) => [Buffer.from(line as string), Buffer.from('\n')]));
    return {
      raw,
      body: gzipSync(raw, { level: 1 }),
      headers: {
        'Content-Encoding': 'gzip',
        'Gantry-First-Counter': String(this.counter + 1),
        'Gantry-Last-Counter': String(this.counter + lines.length),
        'Gantry-First-Line': String(this.line),
        'Gantry-Last-Line': String(this.line + printed),
        'Gantry-Raw-Bytes': String(raw.length),
        'Gantry-Previous-Hash': this.head,
        'Gantry-Hash': chained(this.head, raw),
      },
    };
  }

  /** Sends a batch; `changed` headers replace its own. */
  send(batch: Batch, changed: Record<string, string> = {}): Promise<Reply> {
    return this.call('chunks', batch.body, { ...batch.headers, ...changed });
  }

  finish(changed: Record<string, unknown> = {}): Promise<Reply> {
    return this.call('finish', {
      lastCounter: this.counter,
      lastLine: this.line,
      hash: this.head,
      status: 'successful',
      exitCode: 0,
      reason: null,
      artifacts: {},
      ...changed,
    });
  }

  /** Where the server says the record is: it is asked with a batch that cannot follow. */
  async position(): Promise<{ expected: number; head: string }> {
    const far = String(2 ** 30);
    const probe = this.batchOf([JSON.stringify({ counter: 2 ** 30 })]);
    const answer = await this.send(probe, { 'Gantry-First-Counter': far, 'Gantry-Last-Counter': far });
    if (answer.status !== 409) throw new Error(`A gap was answered ${answer.status}.`);
    return answer.body.details as { expected: number; head: string };
  }

  /** Any call; an object goes as JSON. */
  call(
    path: string,
    body?: Buffer | object,
    headers: Record<string, string> = {},
    method = 'POST',
  ): Promise<Reply> {
    const bytes = body === undefined || Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
    return exchange(method, `${this.url}/pods/v1/jobs/${this.attempt.jobId}/${path}`, bytes, {
      Authorization: `Bearer ${this.bearer}`,
      'Gantry-Epoch': String(this.attempt.epoch),
      'Content-Length': String(bytes?.length ?? 0),
      ...headers,
    });
  }
}

/** One HTTP exchange. A server may answer before it has read everything, and hang up: then the answer counts. */
const exchange = (
  method: string,
  url: string,
  body: Buffer | undefined,
  headers: Record<string, string>,
): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent: false }, (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () => {
        const bytes = Buffer.concat(pieces);
        const json = response.headers['content-type']?.startsWith('application/json');
        resolve({
          status: response.statusCode ?? 0,
          body: json ? (JSON.parse(bytes.toString()) as Reply['body']) : {},
          bytes,
        });
        sent.destroy();
      });
    });
    sent.on('error', reject);
    if (Number(headers['Content-Length']) > (body?.length ?? 0)) sent.flushHeaders();
    else sent.end(body);
  });
