import {
  GetMoment,
  ListHostSummaries,
  ListJobEvents,
  ListTaskSummaries,
  ReadStdout,
} from '@gantry/contracts/record';
import { testPrincipal } from '@gantry/service/testing';
import { v7 as newId } from 'uuid';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestPod } from './testing/pod.js';
import { finishOf, startIngestWorld } from './testing/world.js';

const { ingest, pool, hints, open, reader, stop } = await startIngestWorld();
afterAll(stop);

const prints = (count: number): object[] =>
  Array.from({ length: count }, (_, index) => ({ stdout: `line ${index}` }));
const events = (input: object) => ingest.queries.events(ListJobEvents.input.parse(input), reader);
const output = (input: object) => ingest.queries.stdout(ReadStdout.input.parse(input), reader);
const hostsOf = (input: object) => ingest.queries.hosts(ListHostSummaries.input.parse(input), reader);
const tasksOf = (input: object) => ingest.queries.tasks(ListTaskSummaries.input.parse(input), reader);
const momentOf = (input: object) => ingest.queries.moment(GetMoment.input.parse(input), reader);

/** Two tasks of one play over three hosts, 14 events, in two batches. */
const play = async (jobId: string): Promise<TestPod> => {
  const pod = await open(jobId);
  const at = (second: number) => ({ created: `2026-11-01T10:00:${String(second).padStart(2, '0')}.500000` });
  const data = (task: string, more: object) => ({
    event_data: {
      play: 'Web',
      task,
      task_uuid: `uuid-${task}`,
      role: task === 'Install' ? 'nginx' : undefined,
      ...more,
    },
  });
  const result = (second: number, task: string, host: string, event: string, more: object = {}) => ({
    event,
    stdout: `\u001b[0;32m${event.slice(10)}: [${host}]\u001b[0m`,
    ...at(second),
    ...data(task, { host, duration: second / 10, ...more }),
  });
  const task = (second: number, name: string) => ({
    event: 'playbook_on_task_start',
    stdout: `\r\nTASK [${name}]`,
    ...at(second),
    ...data(name, {}),
  });
  await pod.send(
    pod.cut([
      { event: 'playbook_on_start', ...at(0) },
      { event: 'playbook_on_play_start', stdout: 'PLAY [Web]', ...at(0), event_data: { play: 'Web' } },
      task(1, 'Install'),
      result(2, 'Install', 'a', 'runner_on_ok', { res: { changed: true } }),
      result(5, 'Install', 'b', 'runner_on_failed', { ignore_errors: true }),
      result(3, 'Install', 'c', 'runner_on_skipped'),
      task(6, 'Start'),
    ]),
  );
  await pod.send(
    pod.cut([
      result(7, 'Start', 'a', 'runner_item_on_ok'),
      result(7, 'Start', 'a', 'runner_on_ok'),
      result(8, 'Start', 'b', 'runner_on_failed'),
      result(9, 'Start', 'c', 'runner_on_unreachable'),
      { stdout: 'a\u001b]52;c;AAAA\u0007b <b>' },
      { stdout: '\u001b[1;31mfatal error in NGINX\u001b[0m' },
      { event: 'playbook_on_stats', event_data: { ok: { a: 2, b: 1 }, rescued: { b: 1 } } },
    ]),
  );
  return pod;
};

describe('a job that is searched', () => {
  const jobId = newId();
  beforeAll(() => play(jobId));
  const find = async (filter: object) =>
    (await events({ jobId, filter })).events.map(({ counter }) => counter);

  it.each([
    ['task', { tasks: ['Install'] }, [3, 4, 5, 6]],
    ['task uuid', { tasks: ['uuid-Start'], hosts: ['a'] }, [8, 9]],
    ['play', { plays: ['Web'], events: ['runner_on_failed'] }, [5, 10]],
    ['role', { roles: ['nginx'], hosts: ['a', 'b'] }, [4, 5]],
    ['ok', { statuses: ['ok'] }, [4, 8, 9]],
    ['changed', { statuses: ['changed'] }, [4]],
    ['failed or unreachable', { statuses: ['failed', 'unreachable'] }, [10, 11]],
    ['skipped or ignored', { statuses: ['skipped', 'ignored'] }, [5, 6]],
    ['a range', { tasks: ['Install', 'Start'], before: 8 }, [3, 4, 5, 6, 7]],
    ['text, whatever its case and colours', { text: 'FATAL error in nginx' }, [13]],
    ['text of results', { text: '[b]', statuses: ['failed'] }, [10]],
    [
      'text with a condition that has no index',
      { text: 'ok', events: ['runner_on_ok', 'never_seen'] },
      [4, 9],
    ],
    ['nothing', { tasks: ['No such task'] }, []],
  ])('is found by %s', async (_, filter, counters) => {
    expect(await find(filter)).toEqual(counters);
    expect((await events({ jobId, filter })).lastCounter).toBe(14);
  });

  it('is not searched by somebody who may not read it', async () => {
    const stranger = testPrincipal({ organizations: { [newId()]: ['read'] } });
    const forbidden = { code: 'forbidden' };
    await expect(
      ingest.queries.events(ListJobEvents.input.parse({ jobId, filter: { text: 'x' } }), stranger),
    ).rejects.toMatchObject(forbidden);
    await expect(
      ingest.queries.tasks(ListTaskSummaries.input.parse({ jobId }), stranger),
    ).rejects.toMatchObject(forbidden);
    await expect(
      ingest.queries.moment(GetMoment.input.parse({ jobId, asOf: 3 }), stranger),
    ).rejects.toMatchObject(forbidden);
  });
});

describe('output in another form', () => {
  it('is plain, or HTML that is only text and colours', async () => {
    const jobId = newId();
    await play(jobId);
    const last = { jobId, startLine: 11 };
    expect((await output({ ...last, format: 'plain' })).text).toBe(
      'unreachable: [c]\nab <b>\nfatal error in NGINX\n',
    );
    expect((await output({ ...last, format: 'html' })).text).toBe(
      '<span class="ansi-green-fg">unreachable: [c]</span>\nab &lt;b&gt;\n<span class="ansi-red-fg ansi-bold">fatal error in NGINX</span>\n',
    );
    expect((await output(last)).text).toContain('\u001b]52;c;');
  });
  it('has the colour that a page above it began', async () => {
    const jobId = newId();
    const pod = await open(jobId);
    await pod.send(pod.cut([{ stdout: '\u001b[31mred' }]));
    await pod.send(pod.cut([...prints(2), { stdout: '\u001b[0mplain' }]));
    const page = { jobId, startLine: 2, format: 'html' };
    expect((await output(page)).text).toBe('<span class="ansi-red-fg">line 1</span>\nplain\n');
  });
  it('fits its answer, however it grows', async () => {
    const jobId = newId();
    const pod = await open(jobId);
    const weights = '\u001b[1;2;3;4;9;95;105m';
    for (const stdout of [
      '\u0001'.repeat(300_000),
      '<'.repeat(300_000),
      weights + 'x\u001b[22my\u001b[1m'.repeat(15_000),
    ])
      await pod.send(pod.cut([{ stdout }, { stdout }]));
    for (const format of ['ansi', 'plain', 'html']) {
      const lines: string[] = [];
      for (let startLine = 0; startLine < 6;) {
        const page = await output({ jobId, startLine, format });
        expect(JSON.stringify(page).length, format).toBeLessThan(900_000);
        lines.push(...page.text.split('\n').slice(0, -1));
        startLine = page.endLine;
      }
      expect(lines, format).toHaveLength(6);
    }
  });
  it('is not given to somebody who may not read it', async () => {
    const jobId = newId();
    await play(jobId);
    const stranger = testPrincipal({ organizations: { [newId()]: ['read'] } });
    for (const format of ['ansi', 'plain', 'html'])
      await expect(
        ingest.queries.stdout(ReadStdout.input.parse({ jobId, format, asOf: 3 }), stranger),
      ).rejects.toMatchObject({ code: 'forbidden' });
    await expect(
      ingest.queries.hosts(ListHostSummaries.input.parse({ jobId, asOf: 3 }), stranger),
    ).rejects.toMatchObject({ code: 'forbidden' });
  });
});

describe("a job's tasks", () => {
  it('have their results and times, counted while it runs', async () => {
    const jobId = newId();
    await play(jobId);
    const { items, totalCount } = await tasksOf({ jobId });
    expect(totalCount).toBe(2);
    expect(items).toEqual([
      {
        firstCounter: 3,
        uuid: 'uuid-Install',
        task: 'Install',
        play: 'Web',
        role: 'nginx',
        startedAt: '2026-11-01T10:00:01.5Z',
        endedAt: '2026-11-01T10:00:03.5Z',
        ...{ ok: 2, changed: 1, failed: 0, unreachable: 0, skipped: 1, ignored: 1 },
        totalMilliseconds: 1_000,
        longestMilliseconds: 500,
        slowestHost: 'b',
      },
      {
        firstCounter: 7,
        uuid: 'uuid-Start',
        task: 'Start',
        play: 'Web',
        role: null,
        startedAt: '2026-11-01T10:00:06.5Z',
        endedAt: '2026-11-01T10:00:09.5Z',
        ...{ ok: 1, changed: 0, failed: 1, unreachable: 1, skipped: 0, ignored: 0 },
        totalMilliseconds: 2_400,
        longestMilliseconds: 900,
        slowestHost: 'c',
      },
    ]);
    expect(await tasksOf({ jobId, first: 1 })).toMatchObject({
      items: [{ task: 'Install' }],
      hasNextPage: true,
    });
    expect((await tasksOf({ jobId, first: 1, after: 3 })).items).toMatchObject([{ task: 'Start' }]);
  });
});

describe('a job as it was', () => {
  const jobId = newId();
  beforeAll(() => play(jobId));

  it('knows where it was', async () => {
    expect(await momentOf({ jobId, asOf: 0 })).toEqual({
      counter: 0,
      line: 0,
      at: null,
      play: null,
      task: null,
    });
    expect(await momentOf({ jobId, asOf: 5 })).toEqual({
      counter: 5,
      line: 5,
      at: '2026-11-01T10:00:05.500000',
      play: 'Web',
      task: 'Install',
    });
    expect(await momentOf({ jobId, asOf: 99 })).toMatchObject({ counter: 14, line: 14 });
  });

  it('had printed so much', async () => {
    const { text, totalLines } = await output({ jobId, asOf: 4, format: 'plain' });
    expect(text).toBe('PLAY [Web]\n\nTASK [Install]\nok: [a]\n');
    expect(totalLines).toBe(4);
  });

  it('had these results by host and by task', async () => {
    expect((await hostsOf({ jobId, asOf: 5 })).items).toMatchObject([
      { host: 'a', ok: 1, changed: 1, failures: 0 },
      { host: 'b', ok: 1, ignored: 1, failures: 0 },
    ]);
    expect(await hostsOf({ jobId, asOf: 10, first: 1, after: 'a' })).toMatchObject({
      items: [{ host: 'b', ok: 1, failures: 1, rescued: 0 }],
      hasNextPage: true,
      totalCount: 3,
    });
    expect((await hostsOf({ jobId, asOf: 14 })).items[1]).toMatchObject({ host: 'b', rescued: 1 });
    expect((await tasksOf({ jobId, asOf: 4 })).items).toMatchObject([
      { task: 'Install', ok: 1, changed: 1, skipped: 0, totalMilliseconds: 200, slowestHost: 'a' },
    ]);
    expect((await tasksOf({ jobId, asOf: 7 })).items).toMatchObject([
      { task: 'Install', ok: 2, skipped: 1, longestMilliseconds: 500, slowestHost: 'b' },
      { task: 'Start', ok: 0, slowestHost: null },
    ]);
  });
});

describe('a hostile batch', () => {
  it('is refused when its bytes are not what its headers say', async () => {
    const pod = await open(newId());
    const batch = pod.cut(prints(3));
    const headers: Record<string, string>[] = [
      { 'Gantry-Hash': '0'.repeat(64) },
      { 'Gantry-Raw-Bytes': '5' },
      { 'Gantry-Raw-Bytes': '900000' },
      { 'Gantry-Last-Counter': '2' },
      { 'Content-Encoding': 'br' },
    ];
    for (const header of headers) {
      expect(await pod.send(batch, header)).toMatchObject({
        status: 400,
        body: { code: 'invalid' },
      });
    }
    expect((await pod.send(batch)).status).toBe(200);
  });
  it('is kept as it came, bad events and all', async () => {
    const jobId = newId();
    const pod = await open(jobId);
    const deep = `{"counter":3,"event":"runner_on_ok","event_data":{"host":"h\\u0000\\ud800","res":${'['.repeat(10_000)}${']'.repeat(10_000)}}}`;
    const batch = pod.cutLines([
      '{"counter":1,"stdout":"\\u0000\\ud800"}',
      Buffer.from([0xff, 0xfe, 0x00]),
      deep,
      '{"counter":4,"event_data":{"__proto__":{"x":1},"n":1e400}}',
    ]);
    expect((await pod.send(batch)).body).toEqual({ committed: 4, cancel: false, flushMilliseconds: 400 });
    const page = await events({ jobId });
    expect(page.events.map(({ event }) => event)).toEqual(['', 'unreadable', 'runner_on_ok', '']);
    expect(page.events[2]!.host).toBe('h\ufffd\ufffd');
    const { rows } = await pool.query<{ payload: Buffer }>(
      'select payload from ingest.job_chunk where job_id = $1',
      [jobId],
    );
    expect(rows.map(({ payload }) => payload.equals(batch.body))).toEqual([true]);
  });
  it('may hold a very large event, of which a part is shown', async () => {
    const jobId = newId();
    const pod = await open(jobId);
    expect(
      (
        await pod.send(
          pod.cut([{ stdout: 'x'.repeat(20_000_000), event: 'runner_on_ok', event_data: { host: 'h' } }]),
        )
      ).status,
    ).toBe(200);
    const page = await events({ jobId });
    expect(page.events[0]!.stdout).toContain('20000000 characters');
    const { text } = await output({ jobId });
    expect(text.length).toBeLessThan(500_000);
  });
});

describe('a record that is read', () => {
  const result = (host: string, event: string, more: object = {}) => ({
    event,
    stdout: `${event} ${host}`,
    event_data: { host, task: 'T', task_uuid: 't', ...more },
  });

  it('reads events by counter, in pages, to the end', async () => {
    const jobId = newId();
    const pod = await open(jobId);
    for (let batch = 0; batch < 5; batch++) await pod.send(pod.cut(prints(30)));
    const seen: number[] = [];
    for (let after = 0; ;) {
      const page = await events({ jobId, after, limit: 40 });
      expect(page.committedCounter).toBe(150);
      if (page.events.length === 0) break;
      seen.push(...page.events.map(({ counter }) => counter));
      after = page.lastCounter;
    }
    expect(seen).toEqual(Array.from({ length: 150 }, (_, index) => index + 1));
    expect((await events({ jobId, after: 150 })).final).toBeNull();
    await pod.call('finish', finishOf(pod));
    expect((await events({ jobId, after: 149 })).final).toEqual({
      count: 150,
      sha256: pod.head,
      status: 'successful',
    });
  });
  it('reads output by line, across chunks', async () => {
    const jobId = newId();
    const pod = await open(jobId);
    for (let batch = 0; batch < 4; batch++)
      await pod.send(pod.cut([{ stdout: `a${batch}\r\nb${batch}` }, {}, { stdout: `c${batch}` }]));
    const read = (startLine: number, endLine?: number) => output({ jobId, startLine, endLine });
    expect(await read(4, 7)).toEqual({ text: 'b1\nc1\na2\n', startLine: 4, endLine: 7, totalLines: 12 });
    expect((await read(0)).text.split('\n')).toHaveLength(13);
    expect(await read(50)).toEqual({ text: '', startLine: 50, endLine: 50, totalLines: 12 });
  });
  it('filters by host, event, failure and change', async () => {
    const jobId = newId();
    const pod = await open(jobId);
    await pod.send(
      pod.cut([
        result('a', 'runner_on_ok', { res: { changed: true } }),
        ...prints(20),
        result('b', 'runner_on_failed'),
      ]),
    );
    await pod.send(
      pod.cut([...prints(20), result('a', 'runner_on_unreachable'), result('a', 'runner_on_start')]),
    );
    const find = async (filter: object) =>
      (await events({ jobId, filter })).events.map(({ counter }) => counter);
    expect(await find({ hosts: ['a'] })).toEqual([1, 43]);
    expect(await find({ failedOnly: true })).toEqual([22, 43]);
    expect(await find({ changedOnly: true })).toEqual([1]);
    expect(await find({ events: ['runner_on_failed', 'runner_on_ok'], hosts: ['b', 'nobody'] })).toEqual([
      22,
    ]);
    expect(await find({ events: ['runner_on_start'] })).toEqual([44]);
    expect((await events({ jobId, filter: { hosts: ['b'] } })).lastCounter).toBe(44);
  });
  it("sees every host's numbers grow, and Ansible's own at the end", async () => {
    const jobId = newId();
    const pod = await open(jobId);
    await pod.send(
      pod.cut([result('b', 'runner_on_ok', { res: { changed: true } }), result('a', 'runner_on_ok')]),
    );
    await pod.send(pod.cut([result('a', 'runner_on_failed')]));
    const hosts = async (more: object = {}) => hostsOf({ jobId, ...more });
    expect((await hosts()).items).toMatchObject([
      { host: 'a', ok: 1, failures: 1 },
      { host: 'b', ok: 1, changed: 1 },
    ]);
    await pod.send(
      pod.cut([
        {
          event: 'playbook_on_stats',
          event_data: { ok: { a: 7, b: 1 }, rescued: { a: 1 }, processed: { c: 1 } },
        },
      ]),
    );
    expect((await hosts()).items).toMatchObject([
      { host: 'a', ok: 7, failures: 0, rescued: 1 },
      { host: 'b', ok: 1, changed: 0 },
      { host: 'c', ok: 0 },
    ]);
    expect(await hosts({ failedOnly: true })).toMatchObject({ items: [], totalCount: 0 });
    expect(await hosts({ first: 1, after: 'a' })).toMatchObject({
      items: [{ host: 'b' }],
      hasNextPage: true,
      totalCount: 3,
    });
  });

  it('tells which hosts failed or could not be reached, page by page', async () => {
    const jobId = newId();
    const pod = await open(jobId);
    await pod.send(pod.cut([result('a', 'runner_on_failed'), result('b', 'runner_on_ok')]));
    await pod.send(pod.cut([result('z', 'runner_on_unreachable')]));
    const failed = await hostsOf({ jobId, failedOnly: true, first: 1 });
    expect(failed).toMatchObject({ items: [{ host: 'a' }], hasNextPage: true, totalCount: 2 });
    expect(await hostsOf({ jobId, failedOnly: true, after: 'a' })).toMatchObject({
      items: [{ host: 'z', dark: 1 }],
      hasNextPage: false,
    });
  });

  it('gives bounded pages of large events, and goes on where it stopped', async () => {
    const jobId = newId();
    const pod = await open(jobId);
    const large = Array.from({ length: 12 }, () => ({ stdout: 'x'.repeat(90_000) }));
    await pod.send(pod.cut(large));
    const counters: number[] = [];
    for (let after = 0; after < 12;) {
      const page = await events({ jobId, after });
      expect(JSON.stringify(page).length).toBeLessThan(900_000);
      counters.push(...page.events.map(({ counter }) => counter));
      after = page.lastCounter;
    }
    expect(counters).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
    let text = '';
    for (let startLine = 0; startLine < 12;) {
      const page = await output({ jobId, startLine });
      text += page.text;
      startLine = page.endLine;
    }
    expect(text).toBe(`${'x'.repeat(90_000)}\n`.repeat(12));
  });
  it('tells what a rare event is even when it is far away, page by page', async () => {
    const jobId = newId();
    const pod = await open(jobId);
    for (let batch = 0; batch < 25; batch++) await pod.send(pod.cut(prints(2)));
    await pod.send(pod.cut([{ event: 'runner_on_start', event_data: { host: 'a' } }]));
    const filter = { events: ['runner_on_start'] };
    const first = await events({ jobId, filter });
    expect(first).toMatchObject({ events: [], lastCounter: 40, committedCounter: 51 });
    const second = await events({ jobId, filter, after: 40 });
    expect(second).toMatchObject({ events: [{ counter: 51 }], lastCounter: 51 });
  });
  it('hints at each commit with the newest counter', async () => {
    const jobId = newId();
    const pod = await open(jobId);
    await pod.send(pod.cut(prints(5)));
    await pod.call('finish', finishOf(pod));
    await ingest.stop();
    expect(hints.filter((hint) => hint.jobId === jobId).at(-1)).toEqual({
      jobId,
      committedCounter: 5,
      sealed: true,
    });
  });
});
