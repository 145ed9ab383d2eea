/** `read`: the first screen at any line of a job of 1,000,000 events, and the events of one host, at the public API. */
import { request, type Endpoint } from '../client.js';
import { bigJob } from './big-job.js';
import type { BenchCase } from './case.js';
import { createEventSource, seeded } from './events.js';
import { createLatencies, type Percentiles } from './latencies.js';
import { HOSTS } from './load.process.js';
import type { BenchJob } from './pod.js';
import { most } from './result.js';

/** Lines of a tall terminal window, twice: what is seen and what the next key press shows. */
const SCREEN_LINES = 200;
const SCREEN_EVENTS = 50;

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

interface Matches {
  job: { outputMatches: { nodes: { line: number }[]; searchedLine: number; complete: boolean } };
}
const SEARCH = `query ($id: ID!, $text: String!, $from: Int) {
  job(id: $id) { outputMatches(text: $text, fromLine: $from) { nodes { line } searchedLine complete } }
}`;
/** Printed by no job; the worst case, for all of it is searched. */
const NOWHERE = 'this is printed nowhere';

/** Searches the whole job: each request's time, and how many there were. */
const readSearch = async (endpoint: Endpoint, id: string): Promise<Percentiles & { requests: number }> => {
  const latencies = createLatencies();
  let requests = 0;
  for (let [from, complete] = [0, false]; !complete; requests++) {
    const started = performance.now();
    const { job } = await request<Matches>(endpoint, SEARCH, { id, text: NOWHERE, from });
    latencies.add(performance.now() - started);
    [from, complete] = [job.outputMatches.searchedLine, job.outputMatches.complete];
  }
  return { ...latencies.percentiles(), requests };
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
  title: 'first screen at any line of a job of 1,000,000 events; the events of one host; a text',
  mode: 'separate',
  run: async (context) => {
    const { world, say, sized } = context;
    const { job, events, filled } = await bigJob(context);
    say('screens');
    const screens = await readScreens(world.endpoint, job.jobId, sized(200, 10));
    say('one host');
    const host = await readHost(world.endpoint, job.jobId, hostsOf(job), events, sized(200, 10));
    say('a text that is nowhere');
    const { requests, ...search } = await readSearch(world.endpoint, job.jobId);
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
      {
        case: 'read-search',
        what: `a text that is printed nowhere, looked for in all of the job, over GraphQL: ${requests} ${requests === 1 ? 'request' : 'requests'}`,
        events,
        ...search,
        bounds: [most('read-search: requests', requests, 2)],
      },
    ];
  },
};
