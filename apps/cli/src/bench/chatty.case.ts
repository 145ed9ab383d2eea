/** `chatty`: 10 hosts, 10,000 messages, in the same image: plain ansible-playbook, ansible-runner and a Gantry job, alternating. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PlatformError } from '@gantry/contracts/errors';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { follow, type Endpoint } from '../client.js';
import { ROOT } from '../home.js';
import { launch } from '../jobs.command.js';
import type { BenchCase, CaseContext } from './case.js';
import { makeTemplate } from './objects.js';
import { storedBytes } from './record.js';
import { most, type Figures } from './result.js';
import { inImage } from './start.case.js';

const HOSTS = 10;
/** Rounds stop when the next one would end later than this. */
const MOST_MILLISECONDS = 200_000;

/** The same playbook and hosts in memory, as in a pod; its output is thrown away. */
const byHand = (command: string): number => {
  const file = (path: string, text: string) =>
    `echo ${Buffer.from(text).toString('base64')} | base64 -d > ${path}`;
  const hosts = `host[1:${HOSTS}].example.com ansible_connection=local ansible_python_interpreter="{{ ansible_playbook_python }}"\n`;
  const playbook = readFileSync(join(ROOT, 'examples/demo-project/chatty.yml'), 'utf8');
  const prepare = [
    'mkdir -p /tmp/r/project /tmp/r/inventory && cd /tmp/r/project',
    file('/tmp/r/inventory/hosts', hosts),
    file('/tmp/r/project/chatty.yml', playbook),
  ];
  const started = performance.now();
  inImage([...prepare, command].join(' && '), ['--tmpfs=/tmp:exec,mode=1777', '--network=none']);
  return (performance.now() - started) / 1_000;
};

/** Pushed, not asked for: nothing takes CPU from the playbook meanwhile. */
const untilOver = async (endpoint: Endpoint, id: string): Promise<void> => {
  const client = createClient({
    url: endpoint.url.replace(/^http/, 'ws'),
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${endpoint.token}` },
  });
  try {
    const query = `subscription ($id: ID!) { jobStatus(jobId: $id) { status } }`;
    for await (const { data } of client.iterate<{ jobStatus: { status: string } }>({
      query,
      variables: { id },
    }))
      if (data && ['FAILED', 'ERROR', 'CANCELED'].includes(data.jobStatus.status))
        throw new PlatformError('refused', `The chatty job ended as ${data.jobStatus.status}.`);
  } finally {
    void client.dispose();
  }
};

/** Reads the whole record as a watcher would: how many events, messages among them, and counters that came twice. */
const readBack = async (endpoint: Endpoint, id: string) => {
  let [events, messages, duplicated, last] = [0, 0, 0, 0];
  const fields = 'events { counter event }';
  for await (const batch of follow<{ events: { counter: number; event: string }[] }>(endpoint, id, fields))
    for (const { counter, event } of batch.events) {
      events += 1;
      if (event === 'runner_item_on_ok') messages += 1;
      if (counter <= last) duplicated += 1;
      last = Math.max(last, counter);
    }
  return { events, messages, duplicated };
};

interface Run extends Figures {
  seconds: number;
}

/** From the launch until the job is over and its pod gone, as `podman run --rm` is until the container is. */
const runJob = async ({ world }: CaseContext, template: string, items: number): Promise<Run> => {
  const { endpoint } = world;
  const [bytes, cpu, started] = [await storedBytes(world), world.cpu(), performance.now()];
  const id = await launch(endpoint, template, { extraVars: [`items=${items}`] });
  await untilOver(endpoint, id);
  const seconds = (performance.now() - started) / 1_000;
  const [used, stored] = [world.cpu() - cpu, (await storedBytes(world)) - bytes];
  const { events, messages, duplicated } = await readBack(endpoint, id);
  return {
    events,
    seconds,
    eventsPerSecond: events / seconds,
    cpuSecondsPer1000Events: (used / events) * 1_000,
    bytesPerEvent: stored / events,
    lost: HOSTS * items - messages,
    duplicated,
  };
};

const middle = (runs: Run[]): Run =>
  [...runs].sort((a, b) => a.seconds - b.seconds)[Math.floor(runs.length / 2)]!;

/** The case. */
export const chattyCase: BenchCase = {
  name: 'chatty',
  title: '10 hosts, 10,000 messages: ansible-playbook, ansible-runner and a Gantry job in the same image',
  mode: 'embedded',
  run: async (context) => {
    const { world, say, sized } = context;
    const items = sized(1_000, 20);
    const template = await makeTemplate(world.endpoint, {
      name: 'Bench chatty',
      playbook: 'chatty.yml',
      hosts: HOSTS,
    });
    const [ours, plain, runner]: [Run[], Run[], Run[]] = [[], [], []];
    const started = performance.now();
    // Another round only if it is likely to end in time: on a busy machine one takes minutes.
    const inTime = (run: number): boolean =>
      run === 1 || ((performance.now() - started) * run) / (run - 1) < MOST_MILLISECONDS;
    for (let run = 1; run <= sized(3, 1) && inTime(run); run++) {
      say(`round ${run}: ansible-playbook`);
      plain.push({ seconds: byHand(`ansible-playbook -i ../inventory chatty.yml -e items=${items}`) });
      say(`round ${run}: a Gantry job`);
      ours.push(await runJob(context, template, items));
      say(`round ${run}: ansible-runner`);
      runner.push({
        seconds: byHand(`ansible-runner run /tmp/r -p chatty.yml -q --cmdline '-e items=${items}'`),
      });
    }
    // Tables grow by whole pages: bytes are counted over all rounds.
    const sum = (value: (run: Run) => number): number => ours.reduce((total, run) => total + value(run), 0);
    const bytesPerEvent = sum((run) => run.bytesPerEvent! * run.events!) / sum((run) => run.events!);
    const own = { ...middle(ours), bytesPerEvent };
    const lost = Math.max(...ours.map((run) => run.lost! + run.duplicated!));
    const [byPlaybook, byRunner] = [middle(plain), middle(runner)];
    return [
      {
        case: 'chatty',
        what: `a job of ${HOSTS} hosts and ${HOSTS * items} messages from launch until its pod is gone; beside ansible-playbook in a container of the same image (medians)`,
        ...own,
        reference: byPlaybook,
        ratio: own.seconds / byPlaybook.seconds,
        bounds: [
          most('chatty: wall time to that of ansible-playbook', own.seconds / byPlaybook.seconds, 1.05),
          most('chatty: bytes per event', bytesPerEvent, 300),
          most('chatty: lost or twice', lost, 0),
        ],
      },
      {
        case: 'chatty-runner',
        what: 'the same job; beside ansible-runner in a container of the same image, its files in memory (medians)',
        seconds: own.seconds,
        reference: byRunner,
        ratio: own.seconds / byRunner.seconds,
        bounds: [],
      },
    ];
  },
};
