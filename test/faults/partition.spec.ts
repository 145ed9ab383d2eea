/** F10: the way between pod and ingest is cut, in both directions or only for the answers, and heals. */
import { eventually } from '@gantry/testkit/eventually';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { containersOf, engine, launch, over } from '../e2e/api.js';
import { makeTemplate } from '../e2e/objects.js';
import { expectWhole, toldOf } from './oracle.js';
import { long, pause, sql } from './parts.js';
import { startProxy, type Proxy } from './proxy.js';
import { watch } from './watcher.js';

const awayMilliseconds = long ? 300_000 : 5_000;

let proxy: Proxy;
let template: string;
beforeAll(async () => {
  template = await makeTemplate('chatty.yml');
  proxy = await startProxy();
});
afterAll(() => proxy?.stop());

const committed = async (jobId: string): Promise<number> =>
  (
    await sql<{ last: number }>('select last_counter as last from ingest.job_record where job_id = $1', [
      jobId,
    ])
  )[0]!.last;

describe('a pod that is cut off from ingest', () => {
  it('spools within its bound, holds the playbook back, and sends everything once after the cut', async () => {
    const spoolBytes = 4_000;
    proxy.limits = { spoolBytes };
    const id = await launch(template, { extraVars: { items: 500 } });
    const watcher = watch(id);
    await eventually(() => watcher.seen.counters.length > 50, { timeoutMs: 60_000, what: 'output' });
    proxy.mode = 'away';
    const before = await eventually(async () => {
      const first = await committed(id);
      await pause(200);
      return (await committed(id)) === first ? first : null;
    });
    await pause(awayMilliseconds);
    expect(proxy.unanswered).toBeGreaterThan(2);
    expect(await committed(id), 'nothing came through').toBe(before);
    // Neither given up nor run on without anybody to hear it.
    const inPod = engine('top', containersOf(id)[0]!, 'args');
    expect(inPod).toMatch(/ansible-playbook/);
    proxy.mode = 'open';
    proxy.limits = {};
    const job = await over(id);
    expect(job.status, job.reason?.message).toBe('SUCCESSFUL');
    const lines = await expectWhole(toldOf(job), await watcher.done);
    const items = lines.filter((line) => line.includes('"event": "runner_item_on_ok"'));
    expect(items.length % 500).toBe(0);
    expect(items.length).toBeGreaterThan(0);
  });

  it('doubles nothing when ingest hears it and is not heard', async () => {
    const id = await launch(template, { extraVars: { items: 300 } });
    const watcher = watch(id);
    await eventually(() => watcher.seen.counters.length > 50, { timeoutMs: 60_000, what: 'output' });
    const before = proxy.unanswered;
    proxy.mode = 'deaf';
    await pause(long ? awayMilliseconds : 3_000);
    expect(proxy.unanswered).toBeGreaterThan(before + 1);
    proxy.mode = 'open';
    const job = await over(id);
    expect(job.status, job.reason?.message).toBe('SUCCESSFUL');
    await expectWhole(toldOf(job), await watcher.done);
  });
});
