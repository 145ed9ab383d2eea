import { describe, expect, it, beforeAll } from 'vitest';
import {
  allEvents,
  containersOf,
  engine,
  gantry,
  getJob,
  launch,
  machine,
  over,
  type Job,
  type JobEvent,
} from './api.js';

const LIFE = [
  'job.requested',
  'job.pinned',
  'job.dispatched',
  'job.image_cached',
  'job.pod_created',
  'job.pod_started',
  'job.record_sealed',
  'job.pod_destroyed',
  'job.finished',
];

/** The same playbook, inventory and image, run by ansible-runner by hand. */
const runByHand = (): { event: string; task: string | null; host: string | null }[] => {
  const { eeImage } = machine();
  const script = [
    'set -e',
    'mkdir -p /tmp/r/inventory /tmp/r/env',
    'cp -r /demo /tmp/r/project',
    'printf "[web]\\nweb1\\nweb2\\n[db]\\ndb1\\n[all:vars]\\nansible_connection=local\\nansible_python_interpreter={{ ansible_playbook_python }}\\n" > /tmp/r/inventory/hosts',
    'ansible-runner run /tmp/r -p site.yml -i byhand > /dev/null || true',
    'cat $(ls /tmp/r/artifacts/byhand/job_events/*.json | sort -t/ -k7 -V) | sed "s/}{/}\\n{/g"',
  ].join('; ');
  const output = engine(
    'run',
    '--rm',
    '--pull=never',
    '--network=none',
    '--user=1000:0',
    '-e',
    'HOME=/tmp',
    '-v',
    `${process.cwd()}/examples/demo-project:/demo:ro`,
    eeImage,
    'sh',
    '-c',
    script,
  );
  return output
    .split('\n')
    .filter(Boolean)
    .map(
      (line) =>
        JSON.parse(line) as { counter: number; event: string; event_data?: { task?: string; host?: string } },
    )
    .sort((a, b) => a.counter - b.counter)
    .map(({ event, event_data }) => ({
      event,
      task: event_data?.task ?? null,
      host: event_data?.host ?? null,
    }));
};

/** Hosts run in parallel, so results of one task may come in any order of hosts: compared task by task. */
const byTask = (events: { event: string; task: string | null }[]): string[] => {
  const groups: string[][] = [];
  for (const { event, task } of events) {
    const isResult = event.startsWith('runner_');
    const last = groups.at(-1);
    const line = `${event} ${task ?? ''}`;
    if (isResult && last?.[0] === 'results') last.push(line);
    else groups.push(isResult ? ['results', line] : [line]);
  }
  return groups.map((group) => [...group].sort().join('\n'));
};

describe('the demo job', () => {
  let job: Job;
  let events: JobEvent[];

  beforeAll(async () => {
    job = await over(await launch('Demo Job Template'));
    events = await allEvents(job.id);
  });

  it('ends successful', () => {
    expect(job.status, job.reason?.message).toBe('SUCCESSFUL');
    expect(job.record?.exitCode).toBe(0);
  });

  it('has every event once, in order, and their lines join up', () => {
    expect(events.map(({ counter }) => counter)).toEqual(events.map((_, index) => index + 1));
    expect(job.record?.lastCounter).toBe(events.length);
    expect(new Set(events.map(({ uuid }) => uuid)).size).toBe(events.length);
    for (const [index, event] of events.entries())
      if (index > 0) expect(event.startLine).toBe(events[index - 1]!.endLine);
  });

  it('gives the events that ansible-runner gives in the same image', () => {
    expect(byTask(events)).toEqual(byTask(runByHand()));
  });

  it('tells its whole life', () => {
    const types = job.timeline.map(({ type }) => type);
    expect(types.filter((type) => LIFE.includes(type))).toEqual(LIFE);
    expect(job.timeline.map(({ version }) => version)).toEqual(types.map((_, index) => index + 1));
  });

  it('says what it ran on, down to the byte', () => {
    expect(job.pinned?.image.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(job.pinned?.project.commit).toMatch(/^[0-9a-f]{40}$/);
    expect(job.pinned?.inventory).toMatchObject({
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      totalHosts: 3,
    });
  });

  it('counts its hosts: ok, changed, skipped and rescued', () => {
    expect(job.hostSummaries.nodes.map(({ host }) => host)).toEqual(['db1', 'web1', 'web2']);
    for (const host of job.hostSummaries.nodes) {
      expect(host).toMatchObject({ failures: 0, dark: 0 });
      expect(host.ok).toBeGreaterThan(0);
    }
    const sum = (field: 'changed' | 'skipped' | 'rescued') =>
      job.hostSummaries.nodes.reduce((total, host) => total + host[field], 0);
    expect(sum('changed')).toBeGreaterThan(0);
    expect(sum('skipped')).toBeGreaterThan(0);
    expect(sum('rescued')).toBeGreaterThan(0);
  });

  it('leaves no container behind', () => {
    expect(containersOf(job.id)).toEqual([]);
    expect(engine('volume', 'ls', '--filter', `label=gantry.job=${job.id}`, '--format', '{{.Name}}')).toBe(
      '',
    );
  });

  it('is shown by the command line', async () => {
    const shown = JSON.parse(gantry('job', job.id, '--events', '--json').stdout) as JobEvent[];
    expect(shown.map(({ event }) => event)).toEqual(events.map(({ event }) => event));
    expect(gantry('job', job.id, '--stdout').stdout).toContain('PLAY RECAP');
    expect(gantry('job', job.id, '--timeline').stdout).toContain('job.pod_destroyed');
    expect(JSON.parse(gantry('jobs', '--json').stdout)).toEqual(
      expect.arrayContaining([expect.objectContaining({ id: job.id })]),
    );
  });

  it('is the same job when the launch is repeated with its idempotency key', async () => {
    const key = `again ${job.id}`;
    const first = await launch('Demo Job Template', { idempotencyKey: key });
    expect(await launch('Demo Job Template', { idempotencyKey: key })).toBe(first);
    expect((await over(first)).status).toBe('SUCCESSFUL');
    expect((await getJob(first)).pinned).toEqual(job.pinned);
  });
});
