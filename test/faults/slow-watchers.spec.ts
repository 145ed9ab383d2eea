/** F12: five hundred watchers of one job, one who reads slowly, one who never reads. */
import { readFileSync } from 'node:fs';
import { createClient } from 'graphql-ws';
import { describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { adminToken, world } from '../e2e/api.js';
import { openPod } from './launcher.js';
import { counting, expectWhole, toldBy } from './oracle.js';
import { pause, pidOf } from './parts.js';
import { print, usualEvent } from './pod.js';
import { watch } from './watcher.js';

const mebibytesOf = (service: 'gateway' | 'ingest'): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pidOf(service)}/status`, 'utf8'))![1]) / 1024;

const output = (fields: string) =>
  `subscription ($jobId: ID!, $after: Int) { jobOutput(jobId: $jobId, after: $after) { lastCounter events { ${fields} } final { count sha256 status } } }`;

interface Batch {
  jobOutput: { lastCounter: number; events: { counter: number }[]; final: { count: number } | null };
}

const connect = () =>
  createClient({
    url: world.graphqlWs,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    connectionParams: { authorization: `Bearer ${adminToken()}` },
  });

/** A watcher that has stopped reading. */
interface Deaf {
  /** Reads again, to the final batch or until it is closed: what it got, and the code it was closed with. */
  wakeUp(): Promise<{ counters: number[]; code: number | null }>;
  hangUp(): void;
}

/** The largest that the gateway gets until `stop`, in MiB. */
const peakOf = (): { stop(): number } => {
  let peak = 0;
  const look = (): void => void (peak = Math.max(peak, mebibytesOf('gateway')));
  const timer = setInterval(look, 50);
  return {
    stop: () => {
      clearInterval(timer);
      look();
      return peak;
    },
  };
};

/** Speaks graphql-transport-ws by hand, and stops reading once it has subscribed. */
const neverReads = async (jobId: string): Promise<Deaf> => {
  const socket = new WebSocket(world.graphqlWs, 'graphql-transport-ws');
  const counters: number[] = [];
  const over = new Promise<number | null>((resolve) => {
    socket.once('close', resolve);
    socket.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString()) as { type: string; payload?: { data: Batch } };
      if (message.type !== 'next') return;
      const { events, final } = message.payload!.data.jobOutput;
      counters.push(...events.map(({ counter }) => counter));
      if (final) resolve(null);
    });
  });
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('open', resolve));
  socket.send(
    JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${adminToken()}` } }),
  );
  await new Promise((resolve) => socket.once('message', resolve));
  const query = output('counter stdout eventData');
  socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query, variables: { jobId } } }));
  socket.pause();
  return {
    wakeUp: async () => {
      socket.resume();
      const code = await over;
      socket.close();
      return { counters, code };
    },
    hangUp: () => socket.terminate(),
  };
};

describe('five hundred watchers, one of them slow, and some who never read', () => {
  it('all get everything, while the pod is not held up and the gateway stays within its memory', async () => {
    const pod = await openPod();
    const clients = Array.from({ length: 10 }, connect);
    const crowd = Array.from({ length: 500 }, async (_, index) => {
      const counters: number[] = [];
      for await (const { data } of clients[index % clients.length]!.iterate<Batch & Record<string, unknown>>({
        query: output('counter'),
        variables: { jobId: pod.jobId, after: 0 },
      })) {
        counters.push(...data!.jobOutput.events.map(({ counter }) => counter));
      }
      return counters;
    });
    const [deaf, ...others] = await Promise.all(Array.from({ length: 20 }, () => neverReads(pod.jobId)));
    const slow = connect();
    const slowly = (async () => {
      const counters: number[] = [];
      let read = 0;
      for await (const { data } of slow.iterate<Batch & Record<string, unknown>>({
        query: output('counter'),
        variables: { jobId: pod.jobId, after: 0 },
      })) {
        counters.push(...data!.jobOutput.events.map(({ counter }) => counter));
        if (++read <= 5) await pause(1_000);
      }
      return counters;
    })();
    const before = mebibytesOf('gateway');
    const memory = peakOf();
    await print(pod, { perSecond: 200, seconds: 5 });
    // 30 MB: pushed to those who never read, it would wait in the gateway twenty times.
    for (let batch = 0; batch < 100; batch++)
      pod.enqueue(
        Array.from({ length: 10 }, (_, index) => ({ ...usualEvent(index), stdout: 'x'.repeat(30_000) })),
      );
    await pod.finish();
    // Nobody was refused and nobody had to wait for a watcher.
    expect([...pod.answers.keys()]).toEqual([200]);
    for (const counters of await Promise.all(crowd)) expect(counters).toEqual(counting(pod.counter));
    expect(await slowly).toEqual(counting(pod.counter));
    expect(memory.stop()).toBeLessThan(before + 250);
    for (const other of others) other.hangUp();
    // Whoever did not read goes on from the database at its own pace, or was closed with a code: with its place, nothing is lost.
    const { counters, code } = await deaf!.wakeUp();
    // 1006: it slept on until the connection was cut, and never read why.
    expect([null, 4430, 1006]).toContain(code);
    expect(counters).toEqual(counting(counters.length));
    const rest = watch(pod.jobId, counters.length);
    expect([...counters, ...(await rest.done).counters]).toEqual(counting(pod.counter));
    await expectWhole(toldBy(pod), await watch(pod.jobId).done);
    await Promise.all([...clients, slow].map((client) => client.dispose()));
  });
});
