/**
 * The load generator: a process of its own, so that its CPU is told apart from Gantry's. It plays the agents of many jobs
 * against ingest's real HTTP port. Started by `startLoad` (load.process.ts); speaks with it over Node's IPC:
 * plan -> (prepares) -> `ready`; `go` -> sends -> `done`; `finish` -> seals all -> `finished`.
 */
import { createEventSource, type EventSource } from './events.js';
import { createLatencies, type Percentiles } from './latencies.js';
import {
  cutBatch,
  emptyChain,
  sealBatch,
  sendBatch,
  sendFinish,
  type Batch,
  type BenchJob,
  type Chain,
} from './pod.js';

/** What to send. */
export interface LoadPlan {
  jobs: BenchJob[];
  /** Ingest's addresses. A job's batches go to each in turn. */
  targets: string[];
  eventsPerJob: number;
  /** Events in a batch, at most. */
  batchEvents: number;
  hosts: number;
  /** Events that each job prints in a second; null: prepared beforehand and sent as fast as they are taken. */
  eventsPerSecond: number | null;
}

/** What was sent. */
export interface LoadDone {
  /** From `go` to the last answer. */
  seconds: number;
  batches: number;
  /** From an event being printed to the answer that it is committed. Paced load only. */
  latency: Percentiles;
  /** Head of each job's chain, by job. Hex. */
  heads: Record<string, string>;
  /** When each event of the first job was printed: milliseconds since the epoch, by counter - 1. Paced load only. */
  printed: Float64Array;
  cpuSeconds: number;
}

/** From the parent. */
export type LoadOrder = { kind: 'plan'; plan: LoadPlan } | { kind: 'go' } | { kind: 'finish' };
/** To the parent. */
export type LoadWord =
  | { kind: 'ready' }
  | { kind: 'done'; done: LoadDone }
  | { kind: 'finished' }
  | { kind: 'failed'; message: string };

/** The agent's own: docs/PROTOCOL.md, limits.flushMilliseconds. */
const FLUSH_MILLISECONDS = 80;

interface Player {
  job: BenchJob;
  chain: Chain;
  source: EventSource;
  prepared: Batch[];
}

const clock = (): number => performance.timeOrigin + performance.now();
const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

const prepare = (plan: LoadPlan): Player[] =>
  plan.jobs.map((job) => {
    const player: Player = {
      job,
      chain: emptyChain(job.jobId),
      source: createEventSource(job.seed, job.jobId, plan.hosts),
      prepared: [],
    };
    if (plan.eventsPerSecond !== null) return player;
    for (let left = plan.eventsPerJob; left > 0; left -= plan.batchEvents)
      player.prepared.push(cutBatch(player.chain, player.source, Math.min(left, plan.batchEvents)));
    return player;
  });

const flood = async (plan: LoadPlan, player: Player): Promise<number> => {
  let turn = player.job.seed;
  for (const batch of player.prepared)
    await sendBatch(plan.targets[turn++ % plan.targets.length]!, player.job, batch);
  return player.prepared.length;
};

/** Prints at its rate, sends as the agent does: a batch each 80 ms, or as ingest says, or when it is full; one call at a time. */
const pace = async (
  plan: LoadPlan,
  player: Player,
  answered: (milliseconds: number) => void,
  printed: Float64Array,
): Promise<number> => {
  const interval = 1_000 / plan.eventsPerSecond!;
  let [sent, batches, turn] = [0, 0, player.job.seed];
  // Jobs do not all flush in the same moment.
  await pause((player.job.seed % 100) * (Math.min(1_000, interval) / 100));
  const started = clock();
  const dueNow = (): number => Math.floor((clock() - started) / interval) + 1 - sent;
  let flush = FLUSH_MILLISECONDS;
  for (let sentAt = 0; sent < plan.eventsPerJob;) {
    const most = Math.min(plan.batchEvents, plan.eventsPerJob - sent);
    // Not before there is one, then so long after the last batch or when this one is full.
    await pause(started + sent * interval - clock());
    while (dueNow() < most && clock() < sentAt + flush) await pause(Math.min(sentAt + flush - clock(), 10));
    const events = Math.max(1, Math.min(dueNow(), most));
    sentAt = clock();
    let text = '';
    let lines = 0;
    for (let index = 0; index < events; index++) {
      const event = player.source.next();
      text += `${event.json}\n`;
      lines += event.lines;
      if (sent + index < printed.length) printed[sent + index] = started + (sent + index) * interval;
    }
    const first = started + sent * interval;
    const batch = sealBatch(player.chain, text, events, lines);
    const said = await sendBatch(plan.targets[turn++ % plan.targets.length]!, player.job, batch);
    flush = said || flush;
    const now = clock();
    for (let index = 0; index < events; index++) answered(now - first - index * interval);
    sent += events;
    batches += 1;
  }
  return batches;
};

const run = async (plan: LoadPlan, players: Player[]): Promise<LoadDone> => {
  const latencies = createLatencies();
  const printed = new Float64Array(plan.eventsPerSecond === null ? 0 : plan.eventsPerJob);
  const none = new Float64Array(0);
  const cpu = process.cpuUsage();
  const started = performance.now();
  const batches = await Promise.all(
    players.map((player, index) =>
      plan.eventsPerSecond === null
        ? flood(plan, player)
        : pace(plan, player, latencies.add, index === 0 ? printed : none),
    ),
  );
  const seconds = (performance.now() - started) / 1_000;
  const used = process.cpuUsage(cpu);
  return {
    seconds,
    batches: batches.reduce((sum, count) => sum + count, 0),
    latency: latencies.percentiles(),
    heads: Object.fromEntries(players.map(({ job, chain }) => [job.jobId, chain.head])),
    printed,
    cpuSeconds: (used.user + used.system) / 1e6,
  };
};

const tell = (word: LoadWord): void => void process.send!(word);

let plan: LoadPlan | null = null;
let players: Player[] = [];

const obey = async (order: LoadOrder): Promise<void> => {
  switch (order.kind) {
    case 'plan':
      plan = order.plan;
      players = prepare(plan);
      return tell({ kind: 'ready' });
    case 'go':
      return tell({ kind: 'done', done: await run(plan!, players) });
    case 'finish':
      // A few at a time: this is not what is measured.
      for (let index = 0; index < players.length; index += 20)
        await Promise.all(
          players.slice(index, index + 20).map(({ job, chain }) => sendFinish(plan!.targets[0]!, job, chain)),
        );
      return tell({ kind: 'finished' });
  }
};

process.on('message', (order: LoadOrder) => {
  obey(order).catch((error: Error) => tell({ kind: 'failed', message: error.message }));
});
// Whoever started us is gone: nobody wants the answer.
process.on('disconnect', () => process.exit(0));
