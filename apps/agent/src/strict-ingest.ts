/**
 * The server side of the pod protocol (docs/PROTOCOL.md part 1) for the agent's own tests: it takes nothing that the
 * protocol does not allow, keeps what it took in memory, and misbehaves on request.
 */
import { createHash, createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { chmodSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { calculateJwkThumbprint, CompactEncrypt, importJWK, type JWK } from 'jose';

/** An event as it came over the wire. */
export interface WireEvent {
  counter: number;
  start_line: number;
  end_line: number;
  runner_ident: string;
  uuid: string;
  event: string;
  stdout: string;
  created: string;
  parent_uuid?: string;
  pid?: number;
  event_data?: { task?: string; host?: string; res?: { stdout: string } };
}

/** What the agent said at the start. */
export interface StartRequest {
  publicKey: JWK;
  proof: string;
  agent: {
    version: string;
    mode: string;
    python: string;
    ansibleCore: string | null;
    ansibleRunner: string | null;
  };
}

/** What the agent said at the end. */
export interface Finish {
  lastCounter: number;
  lastLine: number;
  hash: string;
  status: string;
  exitCode: number | null;
  reason: { code: string; message: string } | null;
  artifacts: Record<string, unknown>;
}

/** A job as ingest would hand it to its pod. */
export interface Job {
  id: string;
  epoch: number;
  token: string;
  payload: Record<string, unknown>;
  credentials?: Record<string, unknown>;
  limits?: Record<string, number>;
  objects: Map<string, Buffer>;
}

/** Decides how a call is answered, before it is worked on: a status, cut (no answer), or lose (worked on, then no answer). */
export type Trouble = (call: string, number: number) => number | 'cut' | 'lose' | undefined;

const sha256 = (...parts: (string | Buffer)[]) =>
  parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();

class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly details: Record<string, unknown> = {},
  ) {
    super(message);
  }
}

/** One job's ingest, on a socket. Every breach of the protocol lies in `breaches`. */
export class StrictIngest {
  readonly events: WireEvent[] = [];
  readonly breaches: string[] = [];
  readonly raw: Buffer[] = [];
  readonly calls: string[] = [];
  readonly batches: { first: number; last: number; hash: string }[] = [];
  finish: Finish | undefined;
  started: StartRequest | undefined;
  cancel = false;
  trouble: Trouble = () => undefined;
  /** Called with every batch once it is committed. */
  onCommit: () => void = () => undefined;
  private head: string;
  private readonly server: Server;
  private key: string | undefined;

  constructor(private readonly job: Job) {
    this.head = sha256(`gantry:${job.id}`).toString('hex');
    this.server = createServer((request, response) => void this.answer(request, response));
  }

  get committed(): number {
    return this.events.length;
  }

  async listen(where: string | number): Promise<string> {
    await new Promise<void>((resolve) =>
      this.server.listen(
        ...((typeof where === 'string' ? [where] : [where, '127.0.0.1']) as [string]),
        resolve,
      ),
    );
    if (typeof where === 'string') {
      chmodSync(where, 0o777);
      return `unix://${where}`;
    }
    return `http://127.0.0.1:${(this.server.address() as { port: number }).port}`;
  }

  /** Ends as a killed process does: what was on its way has no answer. `listen` brings it back with what it has committed. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = Buffer.concat(parts);
    const call = (request.url ?? '').replace(`/pods/v1/jobs/${this.job.id}/`, '').replace(/\/.*/, '');
    this.calls.push(call);
    const trouble = this.trouble(call, this.calls.filter((name) => name === call).length);
    if (trouble === 'cut') return void request.socket.destroy();
    const reply = (status: number, value: unknown) => {
      const data = Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value));
      response
        .writeHead(status, { 'content-length': data.length, 'content-type': 'application/json' })
        .end(data);
    };
    if (typeof trouble === 'number')
      return reply(trouble, {
        code: trouble < 500 ? 'forbidden' : 'unavailable',
        message: 'told to',
        details: {},
      });
    try {
      const result = await this.work(request, call, body);
      if (trouble === 'lose') return void request.socket.destroy();
      reply(200, result);
    } catch (error) {
      const refusal = error instanceof Refusal ? error : new Refusal(500, String(error));
      if (refusal.status !== 409 || refusal.details['reason'] === 'integrity')
        this.breaches.push(`${call}: ${refusal.message}`);
      reply(refusal.status, {
        code: refusal.status === 409 ? 'conflict' : 'forbidden',
        message: refusal.message,
        details: refusal.details,
      });
    }
  }

  private async work(request: IncomingMessage, call: string, body: Buffer): Promise<unknown> {
    const bearer = hmac(this.job.token, 'gantry pod bearer').toString('base64url');
    if (request.headers.authorization !== `Bearer ${bearer}`) throw new Refusal(401, 'wrong bearer');
    if (request.headers['gantry-epoch'] !== String(this.job.epoch))
      throw new Refusal(403, 'stale epoch', { reason: 'stale_epoch' });
    if (call === 'start') return this.start(JSON.parse(body.toString()));
    if (!this.key) throw new Refusal(422, 'not started');
    if (call === 'objects') {
      const object = this.job.objects.get((request.url ?? '').split('/').at(-1) ?? '');
      if (!object) throw new Refusal(404, 'no such object');
      return object;
    }
    if (this.finish && call !== 'finish') throw new Refusal(403, 'finished', { reason: 'sealed' });
    if (call === 'heartbeat') return { committed: this.committed, cancel: this.cancel };
    if (call === 'chunks') return this.chunk(request, body);
    if (call === 'finish') return this.seal(JSON.parse(body.toString()));
    throw new Refusal(404, `no call ${call}`);
  }

  private async start(request: StartRequest): Promise<unknown> {
    const jwk = request.publicKey;
    if (Object.keys(jwk).sort().join() !== 'crv,kty,x,y') throw new Refusal(422, 'not a bare public key');
    const thumbprint = await calculateJwkThumbprint(jwk);
    const proof = hmac(
      hmac(this.job.token, 'gantry pod proof'),
      `${this.job.id}.${this.job.epoch}.${thumbprint}`,
    ).toString('base64url');
    if (request.proof !== proof) throw new Refusal(403, 'wrong proof');
    if (this.key && this.key !== thumbprint)
      throw new Refusal(403, 'already redeemed', { reason: 'already_redeemed' });
    this.key = thumbprint;
    this.started = request;
    const credentials = this.job.credentials
      ? await new CompactEncrypt(Buffer.from(JSON.stringify(this.job.credentials)))
          .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM' })
          .encrypt(await importJWK(jwk, 'ECDH-ES'))
      : null;
    const limits = {
      chunkEvents: 1_000,
      chunkBytes: 1_048_576,
      flushMilliseconds: 50,
      spoolBytes: 67108864,
      heartbeatSeconds: 2,
      graceSeconds: 10,
      answerSeconds: 60,
    };
    return {
      expected: this.committed + 1,
      head: this.head,
      line: this.events.at(-1)?.end_line ?? 0,
      payload: this.job.payload,
      credentials,
      limits: { ...limits, ...this.job.limits },
    };
  }

  private chunk(request: IncomingMessage, body: Buffer): unknown {
    const header = (name: string) => String(request.headers[name]);
    const raw = gunzipSync(body);
    const [first, last] = [Number(header('gantry-first-counter')), Number(header('gantry-last-counter'))];
    const again = this.batches.find((batch) => batch.first === first);
    if (again) {
      if (again.hash !== header('gantry-hash'))
        throw new Refusal(409, `other bytes for counter ${first}`, { reason: 'integrity' });
      return { committed: this.committed, cancel: this.cancel };
    }
    if (first !== this.committed + 1)
      throw new Refusal(409, `counter ${first}`, { expected: this.committed + 1, head: this.head });
    if (header('gantry-previous-hash') !== this.head)
      throw new Refusal(409, 'the chain is broken', { reason: 'integrity' });
    const hash = sha256(Buffer.from(this.head, 'hex'), raw).toString('hex');
    const events = raw
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as WireEvent);
    this.check(header('gantry-hash') === hash, 'hash');
    this.check(Number(header('gantry-raw-bytes')) === raw.length, 'raw bytes');
    this.check(events.length === last - first + 1, 'number of events');
    this.check(events.length <= (this.job.limits?.['chunkEvents'] ?? 1_000), 'size of a batch');
    this.check(events[0]?.start_line === Number(header('gantry-first-line')), 'first line');
    this.check(events.at(-1)?.end_line === Number(header('gantry-last-line')), 'last line');
    let line = this.events.at(-1)?.end_line ?? 0;
    events.forEach((event, index) => {
      this.check(event.counter === first + index, `counter ${event.counter}`);
      this.check(event.start_line === line && event.end_line >= line, `lines of event ${event.counter}`);
      line = event.end_line;
    });
    this.head = hash;
    this.raw.push(raw);
    this.batches.push({ first, last, hash });
    this.events.push(...events);
    this.onCommit();
    return { committed: this.committed, cancel: this.cancel };
  }

  private seal(request: Finish): unknown {
    const complete =
      request.lastCounter === this.committed &&
      request.hash === this.head &&
      request.lastLine === (this.events.at(-1)?.end_line ?? 0);
    if (!complete)
      throw new Refusal(409, 'the end is not the end of the record', {
        expected: this.committed + 1,
        head: this.head,
      });
    if (this.finish && JSON.stringify(this.finish) !== JSON.stringify(request))
      throw new Refusal(409, 'sealed with another end', { reason: 'integrity' });
    this.finish = request;
    return { sealed: true };
  }

  private check(holds: boolean, what: string): void {
    if (!holds) throw new Refusal(422, `wrong ${what}`);
  }
}
