/** `read`: the first screen at any line of a job of 1,000,000 events, and the events of one host, at the public API. */
import { request, type Endpoint } from '../client.js';
import { launch } from '../jobs.command.js';
import type { BenchCase, CaseContext } from './case.js';
import { createEventSource, seeded } from './events.js';
import { BATCH_EVENTS } from './ingest.case.js';
import { createLatencies, type Percentiles } from './latencies.js';
import { startLoad, type Load } from './load.process.js';
import type { BenchJob } from './pod.js';
import { makeTemplate } from './objects.js';
import { watchMemory } from './processes.js';
import { countRecord } from './record.js';
import { most, type Figures } from './result.js';
import { untilOver } from './start.case.js';

const HOSTS = 10;
/** Lines of a tall terminal window, twice: what is seen and what the next key press shows. */
const SCREEN_LINES = 200;
const SCREEN_EVENTS = 50;
/** As fast as ingest answers: the agent never waits for an event. */
const AT_ONCE = 1_000_000;

/**
 * A job that the API knows and that no pod runs: its branch does not exist, so it ends when it is pinned, before it has a record.
 * The bench then opens the record under its id and fills it as an agent would.
 */
const makeJob = async ({ world }: CaseContext): Promise<BenchJob> => {
  const template = await makeTemplate(world.endpoint, {
    name: 'Bench read',
    playbook: 'chatty.yml',
    hosts: HOSTS,
    scmBranch: 'there-is-no-such-branch',
  });
  const id = await launch(world.endpoint, template, {});
  await untilOver(world.endpoint, id);
  return (await world.openAs([id]))[0]!;
};

const fill = async (
  { world }: CaseContext,
  load: Load,
  events: number,
): Promise<Required<Pick<Figures, 'rssMb' | 'lost' | 'duplicated'>>> => {
  const memory = watchMemory(world.pid('ingest'));
  const { heads } = await load.go();
  await load.finish();
  return { rssMb: memory.stop(), ...(await countRecord(world, heads, events)) };
};

interface Screen {
  job: { stdout: { text: string; startLine: number; endLine: number; totalLines: number } };
}
const SCREEN = `query ($id: ID!, $from: Int, $to: Int) {
  job(id: $id) { stdout(startLine: $from, endLine: $to) { text startLine endLine totalLines } }
}`;

const readScreens = async (endpoint: Endpoint, id: string, times: number): Promise<Percentiles> => {
  const random = seeded(7);
  const first = await request<Screen>(endpoint, SCREEN, { id, from: 0, to: SCREEN_LINES });
  const { totalLines } = first.job.stdout;
  const latencies = createLatencies();
  for (let time = 0; time < times; time++) {
    const from = Math.floor(random() * (totalLines - SCREEN_LINES));
    const started = performance.now();
    const { job } = await request<Screen>(endpoint, SCREEN, { id, from, to: from + SCREEN_LINES });
    latencies.add(performance.now() - started);
    if (job.stdout.endLine - job.stdout.startLine !== SCREEN_LINES)
      throw new Error(`line ${from}: asked for ${SCREEN_LINES} lines, got ${job.stdout.endLine - from}`);
  }
  return latencies.percentiles();
};

interface Events {
  job: { events: { nodes: { counter: number; host: string }[] } };
}
const EVENTS = `query ($id: ID!, $after: Int, $hosts: [String!]) {
  job(id: $id) { events(first: ${SCREEN_EVENTS}, after: $after, filter: { hosts: $hosts }) { nodes { counter host event stdout } } }
}`;

const readHost = async (
  endpoint: Endpoint,
  id: string,
  hosts: string[],
  total: number,
  times: number,
): Promise<Percentiles> => {
  const random = seeded(8);
  const latencies = createLatencies();
  for (let time = 0; time < times; time++) {
    const host = hosts[time % hosts.length]!;
    const after = Math.floor(random() * total * 0.98);
    const started = performance.now();
    const { job } = await request<Events>(endpoint, EVENTS, { id, after, hosts: [host] });
    latencies.add(performance.now() - started);
    if (!job.events.nodes.length || job.events.nodes.some((node) => node.host !== host))
      throw new Error(`events of ${host} after ${after}: none, or another host's`);
  }
  return latencies.percentiles();
};

/** The hosts that the generator made for this job. */
const hostsOf = ({ seed, jobId }: BenchJob): string[] => {
  const source = createEventSource(seed, jobId, HOSTS);
  const found = new Set<string>();
  while (found.size < HOSTS) {
    const host = (JSON.parse(source.next().json) as { event_data: { host?: string } }).event_data.host;
    if (host) found.add(host);
  }
  return [...found];
};

/** The case. */
export const readCase: BenchCase = {
  name: 'read',
  title: 'first screen at any line of a job of 1,000,000 events; the events of one host',
  mode: 'separate',
  run: async (context) => {
    const { world, say, sized } = context;
    const job = await makeJob(context);
    const events = sized(1_000_000, 3_000);
    say(`a job of ${events} events`);
    const load = await startLoad({
      jobs: [job],
      targets: [world.pods],
      eventsPerJob: events,
      batchEvents: BATCH_EVENTS,
      hosts: HOSTS,
      eventsPerSecond: AT_ONCE,
    });
    try {
      const filled = await fill(context, load, events);
      await world.settle();
      say('screens');
      const screens = await readScreens(world.endpoint, job.jobId, sized(200, 10));
      say('one host');
      const host = await readHost(world.endpoint, job.jobId, hostsOf(job), events, sized(200, 10));
      return [
        {
          case: 'read',
          what: `${SCREEN_LINES} lines at any line, over GraphQL; memory: ingest's most while it took the job`,
          events,
          ...screens,
          ...filled,
          bounds: [
            most('read: ms to any line of 1,000,000 events', screens.maxMs, 300),
            most('read: MB of ingest while it took 1,000,000 events', filled.rssMb, 300),
            most('read: lost or twice', filled.lost + filled.duplicated, 0),
          ],
        },
        {
          case: 'read-host',
          what: `${SCREEN_EVENTS} events of one host from any counter on, over GraphQL`,
          events,
          ...host,
          bounds: [most('read-host: ms', host.maxMs, 300)],
        },
      ];
    } finally {
      load.stop();
    }
  },
};
