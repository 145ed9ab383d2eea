import { describe, expect, it } from 'vitest';
import { eeImage, runJob } from './pod.js';

describe.skipIf(!eeImage)('a job in a pod', () => {
  it('runs', async () => {
    const t = Date.now();
    const { ingest, ended, stdout } = await runJob({
      files: { 'site.yml': '- hosts: all\n  gather_facts: false\n  tasks:\n    - debug: {msg: hello}\n' },
      during: (ingest) => { setInterval(() => console.log(Date.now() - t, ingest.calls.join(), ingest.breaches), 1000).unref(); },
    });
    console.log(ended, ingest.breaches, ingest.finish, ingest.started, ingest.calls, stdout);
    console.log(ingest.events.map((e) => [e.counter, e.event, e.start_line, e.end_line]));
    expect(ingest.breaches).toEqual([]);
  }, 10000);
});
