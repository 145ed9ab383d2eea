import { request } from 'node:http';
import { eventually } from '@gantry/testkit/eventually';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { startWorld, type World } from './testing/world.js';

let world: World;
let token: string;
const worlds: World[] = [];
beforeEach(async () => {
  worlds.push((world = await startWorld()));
  token = world.neighbours.issue();
});
afterAll(() => Promise.all(worlds.map(({ stop }) => stop())));

const get = (path: string, headers: Record<string, string> = {}, bearer = token) =>
  fetch(`${world.url}/api/jobs/${world.neighbours.jobId}/${path}`, {
    headers: { authorization: `Bearer ${bearer}`, ...headers },
  });

interface Message {
  event?: string;
  id?: string;
  data: string;
}

/** Messages of a stream of server-sent events, comments left out. */
async function* messagesOf(response: Response): AsyncGenerator<Message> {
  let rest = '';
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + piece).split('\n\n');
    rest = blocks.pop()!;
    for (const block of blocks) {
      const fields = block.split('\n').map((line) => /^(\w*): ?(.*)$/.exec(line)!.slice(1, 3));
      const of = (name: string) => fields.filter(([field]) => field === name).map(([, value]) => value!);
      if (of('event').length === 0 && of('id').length === 0) continue;
      yield { event: of('event')[0], id: of('id')[0], data: of('data').join('\n') };
    }
  }
}

const all = async (response: Response): Promise<Message[]> => {
  const messages: Message[] = [];
  for await (const message of messagesOf(response)) messages.push(message);
  return messages;
};

describe('server-sent events', () => {
  it('give what is stored, what comes, the final event, and end', async () => {
    const { neighbours, hint } = world;
    neighbours.print(150);
    const response = await get('events', { accept: 'text/event-stream' });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const messages: Message[] = [];
    for await (const message of messagesOf(response)) {
      messages.push(message);
      if (message.id !== '150') continue;
      neighbours.print(2);
      neighbours.seal();
      hint();
    }
    const outputs = messages.filter(({ event }) => event === 'output');
    const counters = outputs.flatMap(({ data }) =>
      (JSON.parse(data) as { events: { counter: number }[] }).events.map(({ counter }) => counter),
    );
    expect(counters).toEqual(Array.from({ length: 152 }, (_, index) => index + 1));
    expect(messages.at(-1)).toMatchObject({ event: 'final', id: '152' });
    expect(JSON.parse(messages.at(-1)!.data)).toMatchObject({ count: 152, status: 'successful' });
  });

  it('go on after Last-Event-ID, whatever the address says, or after=', async () => {
    const { neighbours } = world;
    neighbours.print(9);
    neighbours.seal();
    const first = async (path: string, headers = {}) => (await all(await get(path, headers)))[0]!;
    expect(await first('events?after=3&format=text')).toEqual({
      event: 'output',
      id: '9',
      data: 'line 4\nline 5\nline 6\nline 7\nline 8\nline 9',
    });
    expect((await first('events?after=3&format=text', { 'Last-Event-ID': '8' })).data).toBe('line 9');
    expect(await first('events', { 'Last-Event-ID': '9' })).toMatchObject({ event: 'final', id: '9' });
  });

  it('take the same filter; what does not match only moves the cursor', async () => {
    const { neighbours } = world;
    neighbours.print(3, { host: 'a' });
    neighbours.print(200, { host: 'b' });
    neighbours.seal();
    const messages = await all(await get('events?hosts=a&hosts=c&format=text'));
    expect(messages).toMatchObject([
      { event: 'output', id: '203', data: 'line 1\nline 2\nline 3' },
      { event: 'final', id: '203' },
    ]);
    expect((await get('events?hosts=a&after=-1')).status).toBe(400);
  });

  it('answer errors as JSON with their status before they begin', async () => {
    const { neighbours } = world;
    neighbours.print(1);
    const stranger = neighbours.issue();
    neighbours.tokens.set(stranger, { ...neighbours.tokens.get(stranger)!, organizations: {} });
    const told = async (response: Response) => [
      response.status,
      ((await response.json()) as { code: string }).code,
    ];
    expect(await told(await get('events', {}, 'wrong'))).toEqual([401, 'unauthenticated']);
    expect(await told(await get('events', {}, stranger))).toEqual([403, 'forbidden']);
    expect(await told(await get('events?after=x'))).toEqual([400, 'invalid']);
    expect(await told(await get('events?format=xml'))).toEqual([400, 'invalid']);
    expect(await told(await get('nothing'))).toEqual([404, 'not_found']);
    const other = `${world.url}/api/jobs/0198f000-0000-7000-8000-000000000001/events`;
    expect(await told(await fetch(other, { headers: { authorization: `Bearer ${token}` } }))).toEqual([
      404,
      'not_found',
    ]);
  });

  it('end with an error and the cursor when the token is revoked, and when the gateway ends', async () => {
    const { neighbours, revoked } = world;
    neighbours.print(4);
    const other = neighbours.issue();
    const [losing, keeping] = await Promise.all([get('events'), get('events', {}, other)]);
    const messages = messagesOf(losing);
    expect((await messages.next()).value).toMatchObject({ id: '4' });
    neighbours.tokens.delete(token);
    revoked();
    const { value } = await messages.next();
    expect(value).toMatchObject({ event: 'error' });
    expect(JSON.parse(value!.data)).toMatchObject({ code: 'unauthenticated', lastCounter: 4 });
    expect((await messages.next()).done).toBe(true);
    const rest = all(keeping);
    worlds.pop();
    await world.stop();
    expect((await rest).map(({ event }) => event)).toEqual(['output', 'error']);
  });
});

/** A client that asks and does not read until told to. */
const lazy = (path: string) =>
  new Promise<{ read(): Promise<number> }>((resolve, reject) => {
    const asked = request(
      `${world.url}${path}`,
      { headers: { authorization: `Bearer ${token}` } },
      (response) => {
        response.pause();
        resolve({
          read: async () => {
            let bytes = 0;
            for await (const piece of response) bytes += (piece as Buffer).length;
            return bytes;
          },
        });
      },
    );
    asked.on('error', reject);
    asked.end();
  });

describe('back-pressure', () => {
  it.each(['events?events=lazy', 'events.ndjson?events=lazy'])('holds %s back', async (path) => {
    const { neighbours } = world;
    neighbours.print(10_000, { stdout: 'x'.repeat(4_000) });
    neighbours.seal();
    const client = await lazy(`/api/jobs/${neighbours.jobId}/${path}`);
    const reads = () => neighbours.pagesRead.get('lazy') ?? 0;
    let before = -1;
    await eventually(
      () => {
        const same = reads() > 0 && reads() === before;
        before = reads();
        return same;
      },
      { intervalMs: 500, timeoutMs: 30_000 },
    );
    expect(before).toBeLessThan(60);
    expect(await client.read()).toBeGreaterThan(10_000 * 4_000);
    expect(reads()).toBeGreaterThanOrEqual(100);
  });
});

describe('a download', () => {
  it('is the whole output, in pages, of what there is now', async () => {
    const { neighbours } = world;
    neighbours.print(2_500);
    const response = await get('stdout?download=1');
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(response.headers.get('content-disposition')).toBe(
      `attachment; filename="job-${neighbours.jobId}.ansi.txt"`,
    );
    expect(await response.text()).toBe(neighbours.events.map(({ stdout }) => `${stdout}\n`).join(''));
    expect(await (await get('stdout?startLine=2&endLine=4')).text()).toBe('line 3\nline 4\n');
  });

  it('is every event, a line each, filtered if asked', async () => {
    const { neighbours } = world;
    neighbours.print(250, { host: 'a' });
    neighbours.print(1, { host: 'b' });
    const response = await get('events.ndjson');
    expect(response.headers.get('content-type')).toContain('application/x-ndjson');
    const lines = (await response.text()).trim().split('\n');
    expect(lines.map((line) => JSON.parse(line) as object)).toEqual(neighbours.events);
    expect((await (await get('events.ndjson?hosts=b')).text()).trim().split('\n')).toHaveLength(1);
  });

  it('has the format that is asked for; HTML is a page that can do nothing', async () => {
    world.neighbours.print(3);
    const plain = await get('stdout?format=plain');
    expect([plain.headers.get('content-disposition'), await plain.text()]).toEqual([
      `inline; filename="job-${world.neighbours.jobId}.txt"`,
      'plain: line 1\nplain: line 2\nplain: line 3\n',
    ]);
    const html = await get('stdout?format=html');
    expect(html.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(html.headers.get('content-security-policy')).toContain('sandbox');
    expect(await html.text()).toMatch(/<pre>html: line 1\nhtml: line 2\nhtml: line 3\n<\/pre>\n<\/html>\n$/);
    expect((await get('stdout?format=pdf')).status).toBe(400);
  });

  it('is empty for a job that waits, and not found for one that is not there', async () => {
    world.neighbours.opened = false;
    const [waiting, unknown] = await Promise.all([
      get('stdout'),
      get('../0198f000-0000-7000-8000-000000000001/stdout'),
    ]);
    expect([waiting.status, await waiting.text()]).toEqual([200, '']);
    expect(unknown.status).toBe(404);
  });

  it('is given to a form with the token in it, as a page saves it, and to nobody without', async () => {
    const { neighbours } = world;
    neighbours.print(1);
    const post = (body: string) =>
      fetch(`${world.url}/api/jobs/${neighbours.jobId}/stdout?download=1`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body,
      });
    expect(await (await post(`token=${token}`)).text()).toBe('line 1\n');
    expect((await post('token=wrong')).status).toBe(401);
    expect((await post('')).status).toBe(401);
    expect((await get(`stdout?token=${token}`, {}, 'wrong')).status).toBe(401);
  });
});
