/** F14, F15: events of 50 MB, and events that are hardly JSON. Each keeps its place and its bytes; none stops another. */
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { allEvents, ask, launch, over } from '../e2e/api.js';
import { makeTemplate } from '../e2e/objects.js';
import { openPod } from './launcher.js';
import { expectWhole, toldBy, toldOf } from './oracle.js';
import { pidOf, sql } from './parts.js';
import { usualEvent } from './pod.js';
import { makeProject } from './project.js';
import { watch } from './watcher.js';

const size = 50 * 1024 * 1024;

describe('an event of 50 MB', () => {
  it('of a playbook is cut in the pod, which says how large it was and what its hash is', async () => {
    const projectId = await makeProject({
      'site.yml': `- hosts: all\n  gather_facts: false\n  tasks:\n    - debug: {msg: "{{ 'x' * ${size} }}"}\n      run_once: true\n    - debug: {msg: the end}\n      run_once: true\n`,
    });
    const id = await launch(await makeTemplate('site.yml', { projectId }));
    const watcher = watch(id);
    const job = await over(id);
    expect(job.status, job.reason?.message).toBe('SUCCESSFUL');
    const lines = await expectWhole(toldOf(job), await watcher.done);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(1.5 * 1024 * 1024);
    const text = lines.map(String).join('\n');
    expect(text).toMatch(/left out the rest of 5\d{7} bytes, sha256 [0-9a-f]{64}/);
    expect(text).toContain('the end');
  });

  it('of an agent that does not cut is kept, shown in part, and stands in the way of nothing', async () => {
    const pod = await openPod();
    const other = await openPod();
    const ingest = pidOf('ingest');
    const watcher = watch(pod.jobId);
    pod.enqueue([usualEvent(1), { event: 'verbose', stdout: 'y'.repeat(size) }, usualEvent(2)]);
    for (let batch = 0; batch < 20; batch++) other.enqueue([usualEvent(batch)]);
    await Promise.all([pod.finish(), other.finish()]);
    const lines = await expectWhole(toldBy(pod), await watcher.done);
    expect(lines[1]!.length).toBeGreaterThan(size);
    await expectWhole(toldBy(other), await watch(other.jobId).done);
    expect(pidOf('ingest')).toBe(ingest);
  });

  it('that is larger than ingest takes is refused in words, with nothing of it stored', async () => {
    const pod = await openPod();
    pod.enqueue([usualEvent(1)]);
    await pod.delivered();
    const before = { counter: pod.counter, line: pod.line, head: pod.head };
    const packed = await pod.send(pod.cut([{ stdout: 'z'.repeat(65 * 1024 * 1024) }]));
    Object.assign(pod, before);
    const plain = await pod.send(pod.cut([{ stdout: randomBytes(32 * 1024 * 1024).toString('base64') }]));
    Object.assign(pod, before);
    for (const { status, body } of [packed, plain]) {
      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(500);
      expect(body.message).toMatch(/at most|larger/);
    }
    pod.enqueue([usualEvent(2)]);
    await pod.finish();
    await expectWhole(toldBy(pod), await watch(pod.jobId).done);
  });
});

const deep = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
/** Lines that each are one event, in the order of their counters from 2 on. */
const hostile: (string | Buffer)[] = [
  Buffer.concat([
    Buffer.from('{"counter":2,"event":"verbose","stdout":"'),
    Buffer.from([0xff, 0xfe, 0xc3]),
    Buffer.from('"}'),
  ]),
  '{"counter":3,"event":"verbose","stdout":"\\ud800 alone \\udc00"}',
  '{"counter":4,"event":"runner_on_ok","stdout":"nul \\u0000 nul","event_data":{"host":"a\\u0000b","task":"t\\u0000","res":{"x":"\\u0000"}}}',
  `{"counter":5,"event":"runner_on_ok","stdout":"deep","event_data":{"host":"h","res":${deep(10_000)}}}`,
  '{"counter":6,"event":"runner_on_ok","stdout":"large","event_data":{"host":"h","duration":1e400,"res":{"n":1e400,"m":-1e400}}}',
  '{"counter":7,"event":"runner_on_ok","stdout":"proto","event_data":{"host":"__proto__","task":"constructor","__proto__":{"polluted":1},"res":{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}}}',
  'this is no JSON at all',
  '[1, 2, 3]',
  Buffer.from([0x00, 0x01, 0x80, 0xff]),
];

describe('events that are hardly JSON', () => {
  it('are kept to the byte and shown so that nobody chokes on them', async () => {
    const pod = await openPod();
    const watcher = watch(pod.jobId);
    const good = (counter: number) =>
      JSON.stringify({ counter, event: 'verbose', stdout: '', uuid: `g${counter}` });
    const sent = [good(1), ...hostile, good(hostile.length + 2)];
    expect((await pod.send(pod.cutLines(sent))).status).toBe(200);
    await pod.finish();
    const stored = await expectWhole(toldBy(pod), await watcher.done);
    expect(stored.map((line) => line.toString('hex'))).toEqual(
      sent.map((line) => Buffer.from(line).toString('hex')),
    );
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    const hosts = await sql<{ name: string }>(
      `select host.name from ingest.job_host host join ingest.job_record record on record.number = host.job_number where job_id = $1`,
      [pod.jobId],
    );
    expect(hosts.map(({ name }) => name)).toContain('__proto__');
    expect(hosts.map(({ name }) => name).join()).not.toContain('\0');
  });

  it('printed by a playbook arrive, and the API shows them', async () => {
    const projectId = await makeProject({
      'ansible.cfg': '[defaults]\nmodule_strict_utf8_response = false\n',
      'site.yml': `- hosts: all
  gather_facts: false
  tasks:
    - command: printf '\\377\\376\\000\\355\\240\\200 bytes'
      run_once: true
    - debug: {msg: the end}
      run_once: true
`,
    });
    const id = await launch(await makeTemplate('site.yml', { projectId, verbosity: 1 }));
    const watcher = watch(id);
    const job = await over(id);
    expect(job.status, job.reason?.message).toBe('SUCCESSFUL');
    await expectWhole(toldOf(job), await watcher.done);
    const events = await allEvents(id);
    expect(events).toHaveLength(job.record!.lastCounter);
    const read = await ask<{ job: { stdout: { text: string } } }>(
      'query ($id: ID!) { job(id: $id) { stdout { text } } }',
      { id },
    );
    expect(read.job.stdout.text).toContain('the end');
    expect(read.job.stdout.text).not.toMatch(/\p{Surrogate}/u);
  });
});
