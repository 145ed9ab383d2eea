/**
 * The watchers: a process of its own that follows jobs through the real gateway, one WebSocket each (graphql-transport-ws). Most
 * are terminals: they ask for text, and read the range of each batch, so that 1,000 of them fit beside what they measure. One in
 * `COUNTED_EVERY` is a program: it asks for events and looks at each. One that is cut off comes back with its cursor. Started by
 * `startWatchers` (watch.process.ts): plan -> (subscribes) -> `ready`; `collect` -> waits -> `watched`.
 */
import { WebSocket } from 'ws';
import { createLatencies, type Percentiles } from './latencies.js';

/** Who watches what. */
export interface WatchPlan {
  /** Gateways: ws://host:port/graphql. Watchers go to each in turn. */
  urls: string[];
  token: string;
  /** Watchers go to each in turn. */
  jobIds: string[];
  watchers: number;
  /** True: subscribes and then never reads. */
  stalled: boolean;
}

/** What they saw. */
export interface Watched {
  /** From an event being printed to its batch being read, of every event at every watcher. */
  latency: Percentiles;
  /** Events that came to a watcher, all together. */
  delivered: number;
  lost: number;
  duplicated: number;
  /** How often a watcher was cut off and came back. */
  cameBack: number;
  cpuSeconds: number;
}

/** From the parent. `printed`: of the first job, see LoadDone. */
export type WatchOrder =
  | { kind: 'plan'; plan: WatchPlan }
  | { kind: 'collect'; eventsPerJob: number; printed: Float64Array; patienceMilliseconds: number };
/** To the parent. */
export type WatchWord =
  { kind: 'ready' } | { kind: 'watched'; watched: Watched } | { kind: 'failed'; message: string };

const query = (what: string): string => `subscription ($jobId: ID!, $after: Int) {
  jobOutput(jobId: $jobId, after: $after) { firstCounter lastCounter final { count } ${what} }
}`;
const [TERMINAL, PROGRAM] = [query('text'), query('events { counter stdout }')];
/** One in so many reads every event. */
const COUNTED_EVERY = 20;
const CONNECT_AT_ONCE = 25;

interface Watcher {
  jobId: string;
  url: string;
  counted: boolean;
  /** Read up to here. */
  last: number;
  /** Time, first and last counter of each batch, one after the other. */
  batches: number[];
  lost: number;
  duplicated: number;
  cameBack: number;
  socket: WebSocket | null;
}

const clock = (): number => performance.timeOrigin + performance.now();
const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

const range = /"firstCounter":(\d+),"lastCounter":(\d+)/;

const readBatch = (watcher: Watcher, data: Buffer): void => {
  const found = range.exec(data.toString('latin1', 0, 400));
  if (!found) return;
  const now = clock();
  const [first, last] = [Number(found[1]), Number(found[2])];
  if (last < first) return;
  if (watcher.counted) countEvents(watcher, data);
  else {
    watcher.lost += Math.max(0, first - watcher.last - 1);
    watcher.duplicated += Math.max(0, watcher.last - first + 1);
  }
  watcher.batches.push(now, first, last);
  watcher.last = Math.max(watcher.last, last);
};

const countEvents = (watcher: Watcher, data: Buffer): void => {
  const message = JSON.parse(data.toString()) as {
    payload: { data: { jobOutput: { events: { counter: number }[] } } };
  };
  let expected = watcher.last + 1;
  for (const { counter } of message.payload.data.jobOutput.events) {
    if (counter > expected) watcher.lost += counter - expected;
    if (counter < expected) watcher.duplicated += 1;
    expected = Math.max(expected, counter + 1);
  }
};

/** Resolves once subscribed (the server has answered the first message after it, a ping). */
const subscribe = (watcher: Watcher, token: string, stalled: boolean): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(watcher.url, 'graphql-transport-ws', { perMessageDeflate: false });
    watcher.socket = socket;
    const say = (message: object): void => socket.send(JSON.stringify(message));
    socket.on('open', () => say({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } }));
    socket.on('message', (data: Buffer) => {
      const head = data.toString('latin1', 0, 60);
      if (head.includes('"next"')) return readBatch(watcher, data);
      if (head.includes('"connection_ack"')) {
        const variables = { jobId: watcher.jobId, after: watcher.last };
        say({
          id: '1',
          type: 'subscribe',
          payload: { query: watcher.counted ? PROGRAM : TERMINAL, variables },
        });
        say({ type: 'ping' });
      } else if (head.includes('"pong"')) {
        resolve();
        if (stalled) socket.pause();
      } else if (head.includes('"ping"')) say({ type: 'pong' });
      // An error of its own, or an end before the end: comes back with its cursor.
      else if (head.includes('"error"') || head.includes('"complete"')) socket.close();
    });
    socket.on('error', reject);
    socket.on('close', () => {
      reject(new Error('a watcher was cut off before it had subscribed'));
      if (watcher.socket !== socket) return;
      watcher.cameBack += 1;
      setTimeout(() => void subscribe(watcher, token, stalled).catch(() => undefined), 100);
    });
  });

let watchers: Watcher[] = [];
let cpu = process.cpuUsage();

const start = async (plan: WatchPlan): Promise<void> => {
  watchers = Array.from({ length: plan.watchers }, (_, index) => ({
    jobId: plan.jobIds[index % plan.jobIds.length]!,
    url: plan.urls[index % plan.urls.length]!,
    counted: index % COUNTED_EVERY === 0,
    last: 0,
    batches: [],
    lost: 0,
    duplicated: 0,
    cameBack: 0,
    socket: null,
  }));
  for (let index = 0; index < watchers.length; index += CONNECT_AT_ONCE)
    await Promise.all(
      watchers
        .slice(index, index + CONNECT_AT_ONCE)
        .map((watcher) => subscribe(watcher, plan.token, plan.stalled)),
    );
  cpu = process.cpuUsage();
};

/** Waits until everybody has everything, or patience ends: what has not come then is lost. */
const collect = async (order: Extract<WatchOrder, { kind: 'collect' }>): Promise<Watched> => {
  const { eventsPerJob, printed } = order;
  const until = clock() + order.patienceMilliseconds;
  while (clock() < until && watchers.some(({ last }) => last < eventsPerJob)) await pause(50);
  const used = process.cpuUsage(cpu);
  const latencies = createLatencies();
  let delivered = 0;
  for (const { batches } of watchers)
    for (let index = 0; index < batches.length; index += 3) {
      const [time, first, last] = batches.slice(index, index + 3) as [number, number, number];
      delivered += last - first + 1;
      for (let counter = first; counter <= Math.min(last, printed.length); counter++)
        latencies.add(time - printed[counter - 1]!);
    }
  const sum = (value: (watcher: Watcher) => number): number =>
    watchers.reduce((total, watcher) => total + value(watcher), 0);
  return {
    latency: latencies.percentiles(),
    delivered,
    lost: sum(({ lost, last }) => lost + Math.max(0, eventsPerJob - last)),
    duplicated: sum(({ duplicated }) => duplicated),
    cameBack: sum(({ cameBack }) => cameBack),
    cpuSeconds: (used.user + used.system) / 1e6,
  };
};

const tell = (word: WatchWord): void => void process.send!(word);
const obey = async (order: WatchOrder): Promise<void> => {
  if (order.kind === 'plan') {
    await start(order.plan);
    tell({ kind: 'ready' });
  } else tell({ kind: 'watched', watched: await collect(order) });
};
process.on('message', (order: WatchOrder) => {
  obey(order).catch((error: Error) => tell({ kind: 'failed', message: error.message }));
});
process.on('disconnect', () => process.exit(0));
