import { buildSchema, parse } from 'graphql';
import type { WebSocket } from 'ws';
import { describe, expect, it } from 'vitest';
import { isShared, share } from './shared-form.js';
import { createDelivery, selectionOf } from './websocket-delivery.js';

const schema = buildSchema(`type Query { a: Int } type Subscription { jobOutput(after: Int): Batch }
  type Batch { firstCounter: Int lastCounter: Int }`);
const document = (query: string) => parse(query, { noLocation: true });
const QUERY = 'subscription ($after: Int) { jobOutput(after: $after) { lastCounter } }';

async function* events(batches: object[]) {
  yield* batches;
}

describe('a delivery', () => {
  const setting = (open = true) => {
    const frames: string[] = [];
    let executed = 0;
    const deliver = createDelivery({
      send: async (_socket, frame) => {
        frames.push(frame.toString());
        return open;
      },
      told: (result) => {
        executed += 1;
        return result;
      },
    });
    const run = async (id: string, query: string, batches: object[], after = 0) => {
      const args = { schema, document: document(query), variableValues: { after } };
      const source = batches.map((batch) => ({ jobOutput: batch }));
      const marked = source.map((event, index) =>
        isShared(batches[index]) ? shared(event, batches[index]!) : event,
      );
      const results = deliver({ socket: {} as WebSocket, id, args, events: events(marked) as never });
      await results.next();
    };
    return { frames, run, executed: () => executed };
  };
  // The root value of an event is the same object for all watchers of a batch.
  const roots = new WeakMap<object, object>();
  const shared = (event: object, batch: object): object => {
    if (!roots.has(batch)) roots.set(batch, share(event));
    return roots.get(batch)!;
  };

  it('makes a shared batch once for all who ask the same of it, wherever they began', async () => {
    const { frames, run, executed } = setting();
    const batch = share({ firstCounter: 1, lastCounter: 7 });
    await run('a', QUERY, [batch], 0);
    await run('b', QUERY, [batch], 3);
    await run('c"', QUERY.replace('lastCounter', 'firstCounter'), [batch]);
    expect(frames).toEqual([
      '{"id":"a","type":"next","payload":{"data":{"jobOutput":{"lastCounter":7}}}}',
      '{"id":"b","type":"next","payload":{"data":{"jobOutput":{"lastCounter":7}}}}',
      '{"id":"c\\"","type":"next","payload":{"data":{"jobOutput":{"firstCounter":1}}}}',
    ]);
    expect(executed()).toBe(2);
  });

  it('makes what is not shared for each', async () => {
    const { run, executed } = setting();
    const batch = { lastCounter: 7 };
    await run('a', QUERY, [batch]);
    await run('b', QUERY, [batch]);
    expect(executed()).toBe(2);
  });

  it('asks for nothing more once the connection is gone', async () => {
    const { frames, run } = setting(false);
    await run('a', QUERY, [{ lastCounter: 1 }, { lastCounter: 2 }]);
    expect(frames).toHaveLength(1);
  });
});

describe('what is asked of a batch', () => {
  const of = (query: string, variableValues: Record<string, unknown>) =>
    selectionOf({ schema, document: document(query), variableValues });

  it('has the variables in it that decide what is shown, and no others', () => {
    const query =
      'subscription ($after: Int, $short: Boolean!) { jobOutput(after: $after) { firstCounter @skip(if: $short) lastCounter } }';
    expect(of(query, { after: 1, short: true })).toBe(of(query, { after: 2, short: true }));
    expect(of(query, { after: 1, short: true })).not.toBe(of(query, { after: 1, short: false }));
  });

  it('finds them through a fragment at the root', () => {
    const query =
      'subscription ($after: Int) { ...Root } fragment Root on Subscription { jobOutput(after: $after) { lastCounter } }';
    expect(of(query, { after: 1 })).toBe(of(query, { after: 2 }));
  });
});
