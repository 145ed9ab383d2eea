/**
 * What docs/PROTOCOL.md part 1 says of a server, as tests. They speak HTTP and know nothing of how the server is made: whoever
 * writes another one runs them against it.
 */
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { chained, chainStart, Pod, type Attempt, type Batch } from './pod.js';

/** A server under test, and what a launcher would tell it. */
export interface PodServer {
  /** `http://host:port`. */
  url: string;
  /** The objects that every payload names. */
  project: Buffer;
  inventory: Buffer;
  /** Opens a new job, or the next attempt of one; a pod with `token` may then speak for it. No credentials. */
  openJob(next?: { jobId: string; epoch: number }): Promise<Attempt>;
  /** Somebody asked the job to end. */
  cancelJob(attempt: Attempt): Promise<void>;
  /** The pod is gone and the job over: the token ends. */
  closeJob(attempt: Attempt): Promise<void>;
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const mebibyte = 1024 * 1024;

/** Registers the suite; `server` is asked for once its `beforeAll` has run. */
export const podProtocolSuite = (server: () => PodServer): void => {
  const openPod = async (next?: { jobId: string; epoch: number }): Promise<Pod> =>
    new Pod(server().url, await server().openJob(next));
  /** A pod that has started and had a batch of `count` events committed. */
  const running = async (count = 2): Promise<{ pod: Pod; first: Batch }> => {
    const pod = await openPod();
    expect((await pod.start()).status).toBe(200);
    const first = pod.cut(...Array.from({ length: count }, (_, index) => `line ${index}`));
    expect((await pod.send(first)).body).toMatchObject({ committed: count, cancel: false });
    return { pod, first };
  };
  /** The record still is what the pod believes it to be. */
  const expectUnchanged = async (pod: Pod): Promise<void> =>
    expect(await pod.position()).toMatchObject({ expected: pod.counter + 1, head: pod.head });

  startSuite(server, openPod);
  doorSuite(openPod, running, server);
  orderSuite(openPod, running, expectUnchanged);
  limitSuite(running, expectUnchanged);
  endSuite(running, expectUnchanged, server);
};

type OpenPod = (next?: { jobId: string; epoch: number }) => Promise<Pod>;
type Running = (count?: number) => Promise<{ pod: Pod; first: Batch }>;
type ExpectUnchanged = (pod: Pod) => Promise<void>;

const startSuite = (server: () => PodServer, openPod: OpenPod): void => {
  describe('start', () => {
    it('tells a fresh job where to begin, what to run and its limits', async () => {
      const pod = await openPod();
      const { status, body } = await pod.start();
      expect(status).toBe(200);
      expect(body).toMatchObject({ expected: 1, head: chainStart(pod.attempt.jobId), credentials: null });
      expect(body['line'] ?? 0).toBe(0);
      const { project, inventory } = server();
      expect(body['payload']).toMatchObject({
        project: { sha256: sha256(project), sizeBytes: project.length },
        inventory: { sha256: sha256(inventory), sizeBytes: inventory.length },
        playbook: expect.any(String),
        arguments: expect.any(Array),
        environment: expect.any(Object),
        extraVars: expect.any(Object),
        timeoutSeconds: expect.any(Number),
      });
      const limits = body['limits'] as Record<string, number>;
      for (const name of ['chunkEvents', 'chunkBytes', 'flushMilliseconds', 'spoolBytes', 'heartbeatSeconds', 'graceSeconds', 'answerSeconds'])
        expect(limits[name], name).toBeGreaterThan(0);
    }); // prettier-ignore
    it('answers the same key again, and refuses another key of the same attempt', async () => {
      const pod = await openPod();
      const start = pod.newStart();
      expect((await pod.start(start)).status).toBe(200);
      expect((await pod.start(start)).status).toBe(200);
      expect(await pod.start()).toMatchObject({
        status: 403,
        body: { code: 'forbidden', details: { reason: 'already_redeemed' } },
      });
    });
    it('refuses a proof that was made for another key, and then still takes the right one', async () => {
      const pod = await openPod();
      const [start, other] = [pod.newStart(), pod.newStart()];
      expect(await pod.start({ ...start, proof: other.proof })).toMatchObject({
        status: 403,
        body: { code: 'forbidden', details: { reason: 'bad_proof' } },
      });
      expect((await pod.start(start)).status).toBe(200);
    });
    it('gives the objects that the payload names, and no other', async () => {
      const pod = await openPod();
      await pod.start();
      for (const object of [server().project, server().inventory]) {
        const answer = await pod.call(`objects/${sha256(object)}`, undefined, {}, 'GET');
        expect(answer.status).toBe(200);
        expect(answer.bytes.equals(object)).toBe(true);
      }
      const other = await pod.call(`objects/${'0'.repeat(64)}`, undefined, {}, 'GET');
      expect(other).toMatchObject({ status: 404, body: { code: 'not_found' } });
    });
    it('tells the next attempt where the record stands', async () => {
      const first = await openPod();
      await first.start();
      await first.send(first.cut('one', 'two'));
      const { jobId, epoch } = first.attempt;
      const second = await openPod({ jobId, epoch: epoch + 1 });
      const { body } = await second.start();
      expect(body).toMatchObject({ expected: 3, head: first.head, line: 2 });
    });
  });
};

const doorSuite = (openPod: OpenPod, running: Running, server: () => PodServer): void => {
  describe('the token', () => {
    it('is needed, the right one, for every call', async () => {
      const { pod } = await running();
      const stranger = await openPod();
      const object = `objects/${sha256(server().project)}`;
      for (const Authorization of ['', 'Bearer ', `Bearer ${'x'.repeat(43)}`, `Bearer ${pod.attempt.token}`, `Bearer ${stranger.bearer}`])
        for (const [path, method] of [['start', 'POST'], ['chunks', 'POST'], ['heartbeat', 'POST'], ['finish', 'POST'], [object, 'GET']] as const)
          expect(await pod.call(path, method === 'GET' ? undefined : {}, { Authorization }, method), `${path} with ${Authorization}`)
            .toMatchObject({ status: 401, body: { code: 'unauthenticated', message: expect.any(String) } });
    }); // prettier-ignore
    it('is of one attempt', async () => {
      const { pod } = await running();
      for (const epoch of ['', '0', String(pod.attempt.epoch + 1), 'x'])
        expect((await pod.call('heartbeat', {}, { 'Gantry-Epoch': epoch })).status).toBe(401);
    });
    it('of an attempt that was replaced is told to stop, whatever it sends', async () => {
      const { pod: zombie } = await running();
      const { jobId, epoch } = zombie.attempt;
      const pod = await openPod({ jobId, epoch: epoch + 1 });
      const { body } = await pod.start();
      Object.assign(pod, { counter: 2, line: 2, head: body['head'] });
      const stale = { status: 403, body: { code: 'forbidden', details: { reason: 'stale_epoch' } } };
      // The two take turns at the same counters: only the living one's events are in the record.
      for (let turn = 0; turn < 3; turn++) {
        expect(await zombie.send(zombie.cut(`zombie ${turn}`))).toMatchObject(stale);
        expect((await pod.send(pod.cut(`living ${turn}`))).body).toMatchObject({ committed: 3 + turn });
      }
      expect(await zombie.heartbeat()).toMatchObject(stale);
      expect(await zombie.finish()).toMatchObject(stale);
      expect(await zombie.start()).toMatchObject({ status: 403 });
      expect(await pod.position()).toMatchObject({ expected: 6, head: pod.head });
      expect((await pod.finish()).body).toEqual({ sealed: true });
    });
  });
  describe('a call', () => {
    it('that there is not is answered with code and sentence', async () => {
      const { pod } = await running();
      const body = { message: expect.any(String), details: {} };
      expect(await pod.call('nothing', {})).toMatchObject({ status: 404, body: { code: 'not_found', ...body } });
      expect(await pod.call('heartbeat', undefined, {}, 'GET')).toMatchObject({ status: 400, body: { code: 'invalid', ...body } });
      expect(await pod.call('finish', Buffer.from('{'))).toMatchObject({ status: 400, body: { code: 'invalid', ...body } });
      expect(await pod.call('finish', {})).toMatchObject({ status: 400, body: { code: 'invalid', ...body } });
      expect(await pod.call('start', {})).toMatchObject({ status: 400, body: { code: 'invalid', ...body } });
    }); // prettier-ignore
  });
};

const orderSuite = (openPod: OpenPod, running: Running, expectUnchanged: ExpectUnchanged): void => {
  describe('a batch', () => {
    it('is answered with the counter that is committed', async () => {
      const { pod } = await running(2);
      expect((await pod.send(pod.cut('three'))).body).toMatchObject({ committed: 3, cancel: false });
      expect((await pod.heartbeat()).body).toMatchObject({ committed: 3, cancel: false });
      await expectUnchanged(pod);
    });
    it('that comes again is answered again, and is there once', async () => {
      const { pod, first } = await running(2);
      const second = pod.cut('three');
      await pod.send(second);
      expect(await pod.send(first)).toMatchObject({ status: 200, body: { committed: 3 } });
      expect(await pod.send(second)).toMatchObject({ status: 200, body: { committed: 3 } });
      await expectUnchanged(pod);
    });
    it('that leaves events out is told which one is expected, and after which head', async () => {
      const { pod } = await running(2);
      const { head } = pod;
      const missing = pod.cut('three');
      const next = pod.cut('four');
      expect(await pod.send(next)).toMatchObject({
        status: 409,
        body: { code: 'conflict', details: { reason: 'out_of_step', expected: 3, head } },
      });
      expect((await pod.send(missing)).body).toMatchObject({ committed: 3 });
      expect((await pod.send(next)).body).toMatchObject({ committed: 4 });
      await expectUnchanged(pod);
    });
    it('of another history is told the head', async () => {
      const { pod } = await running(2);
      const { head } = pod;
      pod.head = chainStart('another job');
      expect(await pod.send(pod.batchOf([JSON.stringify({ counter: 3, stdout: '' })]))).toMatchObject({
        status: 409,
        body: { code: 'conflict', details: { expected: 3, head } },
      });
      pod.head = head;
      await expectUnchanged(pod);
    });
    it('that overlaps what is committed is told where to go on, and adds nothing', async () => {
      const pod = await openPod();
      await pod.start();
      const start = { counter: pod.counter, line: pod.line, head: pod.head };
      await pod.send(pod.cut('one', 'two'));
      const after = { counter: pod.counter, line: pod.line, head: pod.head };
      Object.assign(pod, start);
      const wider = pod.cut('one', 'two', 'three');
      Object.assign(pod, after);
      expect(await pod.send(wider)).toMatchObject({
        status: 409,
        body: { code: 'conflict', details: { reason: 'out_of_step', expected: 3, head: after.head } },
      });
      // Cut anew from there it is taken.
      expect((await pod.send(pod.cut('three'))).body).toMatchObject({ committed: 3 });
      // And a piece of what is committed, cut otherwise, is committed.
      const end = { counter: pod.counter, line: pod.line, head: pod.head };
      Object.assign(pod, start);
      expect(await pod.send(pod.cut('one'))).toMatchObject({ status: 200, body: { committed: 3 } });
      Object.assign(pod, end);
      await expectUnchanged(pod);
    });
    it.each([
      ['the same events', ['one', 'TWO']],
      ['more events', ['one', 'TWO', 'three']],
      ['fewer events', ['ONE']],
    ])('with other bytes for what is committed is an integrity breach and never overwrites: %s', async (_, texts) => {
      const pod = await openPod();
      await pod.start();
      const start = { counter: pod.counter, line: pod.line, head: pod.head };
      await pod.send(pod.cut('one', 'two'));
      const after = { counter: pod.counter, line: pod.line, head: pod.head };
      Object.assign(pod, start);
      const other = pod.cut(...texts);
      Object.assign(pod, after);
      expect(await pod.send(other)).toMatchObject({
        status: 409,
        body: { code: 'conflict', details: { reason: 'integrity', expected: 3, head: after.head } },
      });
      await expectUnchanged(pod);
      expect((await pod.send(pod.cut('three'))).body).toMatchObject({ committed: 3 });
    }); // prettier-ignore
    it('of many at once is taken by one of them', async () => {
      const { pod } = await running(2);
      const batch = pod.cut('three', 'four');
      const answers = await Promise.all(Array.from({ length: 8 }, () => pod.send(batch)));
      for (const { status, body } of answers) {
        expect([status, status === 200 ? body['committed'] : body.details!['expected']]).toEqual(
          status === 200 ? [200, 4] : [409, 5],
        );
      }
      expect(answers.some(({ status }) => status === 200)).toBe(true);
      await expectUnchanged(pod);
    });
    it('may hold what is hardly JSON: such an event counts, and those after it too', async () => {
      const { pod } = await running(2);
      const nasty = [
        '{"counter": 3, "stdout": "\\u0000 \\ud800", "event_data": {"__proto__": {"x": 1}, "n": 1e400}}',
        'no JSON at all',
        Buffer.from([0xff, 0xfe, 0x00, 0x80]),
        `{"counter": 6, "event_data": ${'['.repeat(10_000)}${']'.repeat(10_000)}}`,
        '{"counter": 7, "event": "gantry_gap", "event_data": {"reason": "event_cut", "message": "gone"}}',
      ];
      const batch = pod.batchOf(nasty);
      expect((await pod.send(batch)).body).toMatchObject({ committed: 7 });
      Object.assign(pod, { counter: 7, head: chained(pod.head, batch.raw) });
      expect((await pod.send(pod.cut('after'))).body).toMatchObject({ committed: 8 });
      await expectUnchanged(pod);
    });
  });
};

const limitSuite = (running: Running, expectUnchanged: ExpectUnchanged): void => {
  const invalid = { status: 400, body: { code: 'invalid', message: expect.any(String) } };
  /** The next batch, not counted by the pod. */
  const nextOf = (pod: Pod): Batch => pod.batchOf([JSON.stringify({ counter: pod.counter + 1, stdout: '' })]);

  describe('a batch that is not as it says', () => {
    it.each<[string, (pod: Pod, batch: Batch) => Record<string, string>]>([
      ['another hash', () => ({ 'Gantry-Hash': '0'.repeat(64) })],
      ['a hash that is none', () => ({ 'Gantry-Hash': 'abc' })],
      ['more events than it has', (pod) => ({ 'Gantry-Last-Counter': String(pod.counter + 2) })],
      ['its last event before its first', (pod) => ({ 'Gantry-Last-Counter': String(pod.counter) })],
      ['another counter than its event', (pod) => ({ 'Gantry-First-Counter': String(pod.counter + 2), 'Gantry-Last-Counter': String(pod.counter + 2) })],
      ['more bytes than it has', (_, batch) => ({ 'Gantry-Raw-Bytes': String(batch.raw.length + 1) })],
      ['fewer bytes than it has', (_, batch) => ({ 'Gantry-Raw-Bytes': String(batch.raw.length - 1) })],
      ['another encoding', () => ({ 'Content-Encoding': 'identity' })],
      ['lines that run backwards', (pod) => ({ 'Gantry-First-Line': String(pod.line + 1), 'Gantry-Last-Line': String(pod.line) })],
      ['no counter', () => ({ 'Gantry-First-Counter': '' })],
    ])('is refused: %s', async (_, change) => {
      const { pod } = await running();
      const batch = nextOf(pod);
      expect(await pod.send(batch, change(pod, batch))).toMatchObject(invalid);
      await expectUnchanged(pod);
      expect((await pod.send(batch)).status).toBe(200);
    }); // prettier-ignore
    it('is refused when it is not gzip, cut short, or ends in the middle of an event', async () => {
      const { pod } = await running();
      const batch = nextOf(pod);
      expect(await pod.send({ ...batch, body: batch.raw })).toMatchObject(invalid);
      expect(await pod.send({ ...batch, body: batch.body.subarray(0, -9) })).toMatchObject(invalid);
      const raw = batch.raw.subarray(0, -1);
      const cut = { 'Gantry-Raw-Bytes': String(raw.length), 'Gantry-Hash': chained(pod.head, raw) };
      expect(await pod.send({ ...batch, body: gzipSync(raw) }, cut)).toMatchObject(invalid);
      await expectUnchanged(pod);
    });
    it('is not unpacked beyond what it says: a bomb', async () => {
      const { pod } = await running();
      const bomb = gzipSync(Buffer.alloc(256 * mebibyte), { level: 9 });
      expect(await pod.send({ ...nextOf(pod), body: bomb })).toMatchObject(invalid);
      await expectUnchanged(pod);
    });
  });
  describe('what is too large', () => {
    it('is refused by what it says, before it is read', async () => {
      const { pod } = await running();
      const refused = { status: 422, body: { code: 'refused' } };
      const large = { ...refused.body, details: { reason: 'too_large', limit: expect.any(Number) } };
      for (const path of ['start', 'chunks', 'finish', 'heartbeat'])
        expect(
          await pod.call(path, undefined, { 'Content-Length': String(128 * mebibyte) }),
          path,
        ).toMatchObject({ status: 422, body: large });
      expect(await pod.send(nextOf(pod), { 'Gantry-Raw-Bytes': String(65 * mebibyte) })).toMatchObject(
        refused,
      );
      await expectUnchanged(pod);
    });
    it('is taken up to 1.5 MiB in one event and 64 MiB in one batch', async () => {
      const { pod } = await running();
      expect((await pod.send(pod.cut('x'.repeat(1.5 * mebibyte)))).status).toBe(200);
      expect((await pod.send(pod.cut(...Array.from({ length: 62 }, () => 'x'.repeat(mebibyte))))).status).toBe(200);
      await expectUnchanged(pod);
    }); // prettier-ignore
  });
};

const endSuite = (running: Running, expectUnchanged: ExpectUnchanged, server: () => PodServer): void => {
  const incomplete = { status: 409, body: { code: 'conflict', details: { reason: 'incomplete' } } };
  describe('finish', () => {
    it.each<[string, (pod: Pod) => Record<string, unknown>]>([
      ['more events', (pod) => ({ lastCounter: pod.counter + 1 })],
      ['fewer events', (pod) => ({ lastCounter: pod.counter - 1 })],
      ['another hash', () => ({ hash: '0'.repeat(64) })],
      ['other lines', (pod) => ({ lastLine: pod.line + 1 })],
    ])('that claims %s than are committed seals nothing, and says what is there', async (_, claim) => {
      const { pod } = await running();
      const answer = await pod.finish(claim(pod));
      expect(answer).toMatchObject(incomplete);
      expect(answer.body.details).toMatchObject({ expected: pod.counter + 1, head: pod.head, lastLine: pod.line });
      expect((await pod.send(pod.cut('more'))).status).toBe(200);
      expect((await pod.finish()).body).toEqual({ sealed: true });
    }); // prettier-ignore
    it('of a status or reason that is none is refused', async () => {
      const { pod } = await running();
      for (const wrong of [
        { status: 'done' },
        { status: undefined },
        { reason: 'because' },
        { exitCode: '0' },
      ])
        expect((await pod.finish(wrong)).status).toBe(400);
      await expectUnchanged(pod);
    });
    it('comes again with the same answer, and never with another end', async () => {
      const { pod } = await running();
      const end = {
        status: 'failed',
        exitCode: 2,
        reason: { code: 'hosts_failed', message: '1 of 1 hosts failed: a.' },
        artifacts: { b: 1, a: [null, '\u0000', 1.5] },
      };
      expect((await pod.finish(end)).body).toEqual({ sealed: true });
      expect(await pod.finish(end)).toMatchObject({ status: 200, body: { sealed: true } });
      for (const other of [{ status: 'successful' }, { exitCode: 0 }, { reason: null }, { artifacts: {} }])
        expect(await pod.finish({ ...end, ...other })).toMatchObject({
          status: 409,
          body: { code: 'conflict', details: { reason: 'finished_otherwise' } },
        });
    });
    it('ends the record: no event more, though what is there is answered again', async () => {
      const { pod, first } = await running();
      await pod.finish();
      expect(await pod.send(first)).toMatchObject({ status: 200, body: { committed: 2 } });
      expect(await pod.send(pod.cut('more'))).toMatchObject({
        status: 403,
        body: { code: 'forbidden', details: { reason: 'closed' } },
      });
      expect((await pod.heartbeat()).status).toBe(200);
    });
    it('of a job without any event is taken', async () => {
      const pod = new Pod(server().url, await server().openJob());
      await pod.start();
      const end = { status: 'error', exitCode: null, reason: { code: 'no_ansible', message: 'None.' } };
      expect((await pod.finish(end)).body).toEqual({ sealed: true });
    });
  });
  describe('cancel', () => {
    it('is in every answer from then on, and takes what still comes', async () => {
      const { pod, first } = await running();
      await server().cancelJob(pod.attempt);
      expect((await pod.heartbeat()).body).toMatchObject({ committed: 2, cancel: true });
      expect((await pod.send(pod.cut('more'))).body).toMatchObject({ committed: 3, cancel: true });
      expect((await pod.send(first)).body).toMatchObject({ committed: 3, cancel: true });
      expect((await pod.finish({ status: 'canceled', exitCode: -15 })).body).toEqual({ sealed: true });
    });
  });
  describe('the end of the job', () => {
    it.each([['with', true], ['without', false]])('ends the token, %s a last word of the pod', async (_, finished) => {
      const { pod, first } = await running();
      if (finished) await pod.finish();
      await server().closeJob(pod.attempt);
      const closed = { status: 403, body: { code: 'forbidden', details: { reason: 'closed' } } };
      expect(await pod.send(first)).toMatchObject(closed);
      expect(await pod.send(pod.cut('more'))).toMatchObject(closed);
      expect(await pod.heartbeat()).toMatchObject(closed);
      expect(await pod.finish()).toMatchObject(closed);
      expect((await pod.start()).status).toBe(403);
    }); // prettier-ignore
  });
};
