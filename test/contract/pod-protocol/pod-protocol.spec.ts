/** Ingest keeps docs/PROTOCOL.md part 1. */
import { eventually } from '@gantry/testkit/eventually';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIngest, type Ingest } from './ingest.js';
import { Pod } from './pod.js';
import { podProtocolSuite } from './suite.js';

let ingest: Ingest;
beforeAll(async () => {
  ingest = await startIngest();
});
afterAll(() => ingest?.stop());

describe('the pod protocol at ingest', () => {
  podProtocolSuite(() => ingest);

  it('raises an alarm on NATS for other bytes, and none for what comes again', async () => {
    const pod = new Pod(ingest.url, await ingest.openJob());
    const first = pod.cut('one');
    await pod.send(first);
    await pod.send(first);
    const [head, { jobId }] = [pod.head, pod.attempt];
    Object.assign(pod, { counter: 0, line: 0, head: first.headers['Gantry-Previous-Hash'] });
    expect((await pod.send(pod.cut('other'))).status).toBe(409);
    await eventually(() => ingest.alarms(jobId) > 0, { what: 'the alarm' });
    Object.assign(pod, { head });
    await pod.send(pod.cut('two'));
    expect(ingest.alarms(jobId)).toBe(1);
  });
});
