import { eventually } from '@gantry/testkit/eventually';
import type { Client } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { startWorld, type World } from './testing/world.js';

interface Batch {
  text: string;
  firstLine: number | null;
  firstCounter: number;
  lastCounter: number;
  final: { count: number; status: string } | null;
}
interface Seen {
  batches: Batch[];
  /** Resolves when the subscription ends; with its errors, if there are any. */
  ended: Promise<{ message: string; extensions: Record<string, unknown> }[]>;
}

const QUERY = `subscription ($jobId: ID!, $after: Int, $filter: JobEventFilter) {
  jobOutput(jobId: $jobId, after: $after, filter: $filter) { firstCounter lastCounter text firstLine final { count status } } }`;

const worlds: World[] = [];
const world = async (settings = {}): Promise<World> => {
  const made = await startWorld(settings);
  worlds.push(made);
  return made;
};
afterAll(() => Promise.all(worlds.map(({ stop }) => stop())));

const watch = (client: Client, variables: Record<string, unknown>): Seen => {
  const batches: Batch[] = [];
  const ended = (async () => {
    try {
      for await (const { data, errors } of client.iterate<{ jobOutput: Batch }>({
        query: QUERY,
        variables,
      })) {
        if (errors) return errors as never;
        batches.push(data!.jobOutput);
      }
      return [];
    } catch (error) {
      return error as never;
    }
  })();
  return { batches, ended };
};

const isWhole = ({ batches }: Pick<Seen, 'batches'>, count: number, after = 0): boolean => {
  let position = after;
  for (const { firstCounter, lastCounter } of batches) {
    if (firstCounter !== position + 1) return false;
    position = lastCounter;
  }
  return position === count && batches.at(-1)?.final?.count === count;
};

/** A WebSocket that speaks the protocol by hand, so that it can stop reading. */
const rawWatcher = async (url: string, token: string, variables: object) => {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  const batches: Batch[] = [];
  const closed = new Promise<number>((resolve) => socket.on('close', resolve));
  await new Promise((resolve) => socket.on('open', resolve));
  const say = (message: object) => socket.send(JSON.stringify(message));
  say({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } });
  socket.on('message', (data: Buffer) => {
    const message = JSON.parse(data.toString()) as { type: string; payload: { data: { jobOutput: Batch } } };
    if (message.type === 'connection_ack')
      say({ id: '1', type: 'subscribe', payload: { query: QUERY, variables } });
    if (message.type === 'next') batches.push(message.payload.data.jobOutput);
  });
  await eventually(() => batches.length > 0, { what: 'the first batch' });
  return { socket, batches, closed };
};

describe('many watchers of one job (F12)', () => {
  const WATCHERS = 500;
  const EVENTS = 2_000;

  it('all get everything once, from few reads, though one reads slowly and one not at all', async () => {
    const { neighbours, hint, url, client } = await world();
    const { jobId } = neighbours;
    const token = neighbours.issue();
    neighbours.print(10);
    const never = await rawWatcher(url, token, { jobId });
    never.socket.pause();
    const slow = await rawWatcher(url, token, { jobId });
    const slowly = setInterval(() => {
      if (slow.socket.isPaused) slow.socket.resume();
      else slow.socket.pause();
    }, 20);
    const clients = Array.from({ length: WATCHERS / 50 }, () => client(token));
    const all = Array.from({ length: WATCHERS }, (_, index) =>
      watch(clients[index % clients.length]!, { jobId, after: 0 }),
    );
    await eventually(() => all.every(({ batches }) => batches.length > 0), { what: 'everybody to watch' });
    neighbours.pagesRead.clear();
    let hints = 0;
    while (neighbours.events.length < EVENTS) {
      neighbours.print(10);
      hint();
      hints += 1;
      await new Promise(setImmediate);
    }
    neighbours.seal();
    hint();
    await Promise.all(all.map(({ ended }) => ended));
    expect(all.filter((seen) => !isWhole(seen, EVENTS))).toEqual([]);
    await eventually(() => isWhole(slow, EVENTS), { what: 'the slow one to have everything' });
    clearInterval(slowly);
    // One watcher alone would have read once for each hint, and once to find nothing.
    expect(neighbours.pagesRead.get('')).toBeLessThan(3 * hints + 50);
    never.socket.terminate();
    slow.socket.terminate();
    await Promise.all(clients.map((each) => each.dispose()));
  });

  it('holds next to nothing for one that never reads, closes it with a code, and its cursor is whole', async () => {
    const { neighbours, hint, url } = await world({ stallMilliseconds: 300 });
    const { jobId } = neighbours;
    const token = neighbours.issue();
    neighbours.print(100, { stdout: 'x'.repeat(4_000) });
    const never = await rawWatcher(url, token, { jobId, filter: { events: ['never'] } });
    never.socket.pause();
    neighbours.print(10_000, { stdout: 'x'.repeat(4_000) });
    neighbours.seal();
    hint();
    // What the kernel's buffers hold of 101 pages of 400 KB, and no more: the gateway reads no page that it cannot send.
    let before = -1;
    await eventually(
      () => {
        const reads = neighbours.pagesRead.get('never')!;
        const same = reads === before;
        before = reads;
        return same;
      },
      { intervalMs: 1_000, timeoutMs: 30_000, what: 'the gateway to stop reading' },
    );
    expect(before).toBeLessThan(60);
    never.socket.resume();
    expect(await never.closed).toBe(4430);
    // What it had read when it was closed is without a gap, so its last counter is where it goes on.
    let position = 0;
    for (const { firstCounter, lastCounter } of never.batches) {
      expect(firstCounter).toBe(position + 1);
      position = lastCounter;
    }
    const rest = await rawWatcher(url, token, { jobId, after: position });
    await eventually(() => isWhole(rest, 10_100, position), { timeoutMs: 30_000, what: 'the rest' });
    rest.socket.terminate();
  });
});

describe('the right to watch', () => {
  let at: World;
  beforeAll(async () => {
    at = await world();
  });

  it('is proven for each watcher, though they share what is read', async () => {
    const { neighbours, client } = at;
    const { jobId } = neighbours;
    neighbours.print(5);
    const [reader, stranger] = [neighbours.issue(), neighbours.issue()];
    neighbours.tokens.set(stranger, { ...neighbours.tokens.get(stranger)!, organizations: {} });
    const [readers, strangers] = [client(reader), client(stranger)];
    const allowed = Array.from({ length: 20 }, () => watch(readers, { jobId }));
    const refused = Array.from({ length: 20 }, () => watch(strangers, { jobId }));
    for (const { ended, batches } of refused) {
      expect(await ended).toMatchObject([{ extensions: { code: 'FORBIDDEN', lastCounter: 0 } }]);
      expect(batches).toEqual([]);
    }
    await eventually(() => allowed.every(({ batches }) => batches.at(-1)?.lastCounter === 5));
    await Promise.all([readers.dispose(), strangers.dispose()]);
  });

  it.each([
    ['a revoked token', 'UNAUTHENTICATED', true],
    ['a lost role', 'FORBIDDEN', true],
    ['a lost role that no event tells of', 'FORBIDDEN', false],
  ])("%s ends the subscription with its cursor, and nobody else's", async (_what, code, told) => {
    const { neighbours, hint, client, revoked } = at;
    const { jobId } = neighbours;
    const [losing, keeping] = [neighbours.issue(), neighbours.issue()];
    const clients = [client(losing), client(keeping)];
    const [loses, keeps] = clients.map((each) => watch(each, { jobId })) as [Seen, Seen];
    const last = () => neighbours.events.length;
    await eventually(() => [loses, keeps].every(({ batches }) => batches.at(-1)?.lastCounter === last()));
    const cursor = last();
    if (code === 'UNAUTHENTICATED') neighbours.tokens.delete(losing);
    else neighbours.tokens.set(losing, { ...neighbours.tokens.get(losing)!, organizations: {} });
    if (told) revoked();
    expect(await loses.ended).toMatchObject([{ extensions: { code, lastCounter: cursor } }]);
    neighbours.print(5);
    hint();
    await eventually(() => keeps.batches.at(-1)?.lastCounter === last());
    expect(loses.batches.at(-1)!.lastCounter).toBe(cursor);
    await Promise.all(clients.map((each) => each.dispose()));
  });
});

describe('a subscription', () => {
  it('begins before there is a record, and rides out an ingest that is away', async () => {
    const { neighbours, hint, client } = await world();
    neighbours.opened = false;
    const own = client(neighbours.issue());
    const seen = watch(own, { jobId: neighbours.jobId });
    await eventually(() => neighbours.asked > 0);
    await eventually(() => neighbours.watched.has(neighbours.jobId), {
      what: 'ingest to be told of a watcher',
    });
    neighbours.opened = true;
    neighbours.print(3);
    hint();
    await eventually(() => seen.batches.at(-1)?.lastCounter === 3);
    expect(seen.batches[0]).toMatchObject({ text: 'line 1\nline 2\nline 3\n', firstLine: 0 });
    neighbours.ingestAway = true;
    neighbours.print(3);
    const asked = neighbours.asked;
    hint();
    await eventually(() => neighbours.asked > asked, { what: 'a read that fails' });
    neighbours.ingestAway = false;
    neighbours.seal();
    hint();
    expect(await seen.ended).toEqual([]);
    expect(isWhole(seen, 6)).toBe(true);
    await own.dispose();
  });
});
