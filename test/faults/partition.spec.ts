/** F10: the way between pod and ingest is cut, in both directions or only for the answers, and heals. */
import { eventually } from '@gantry/testkit/eventually';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { containersOf, engine, launch, over } from '../e2e/api.js';
import { makeTemplate } from '../e2e/objects.js';
import { expectWhole, toldOf } from './oracle.js';
import { long, pause, sql } from './parts.js';
import { startProxy, type Proxy } from './proxy.js';
import { watch } from './watcher.js';

let proxy: Proxy;
let template: string;
beforeAll(async () => {
  template = await makeTemplate('chatty.yml');
  proxy = await startProxy();
});
afterEach(() => {
  [proxy.mode, proxy.limits] = ['open', {}];
});
afterAll(() => proxy?.stop());

const committed = async (jobId: string): Promise<number> =>
  (
    await sql<{ last: number }>('select last_counter as last from ingest.job_record where job_id = $1', [
      jobId,
    ])
  )[0]!.last;

/** How much each process of the playbook in a pod has written, as a text to compare. Throws when there is none any more. */
const written = (container: string): string => {
  const look =
    'for p in /proc/[0-9]*; do read -r name < $p/comm; case $name in ansible-playboo*) echo $p $(grep wchar $p/io);; esac; done';
  const found = engine('exec', container, 'sh', '-c', `{ ${look}; } 2>/dev/null || true`);
  if (!found) throw new Error('the playbook has ended');
  return found;
};

describe('a pod that is cut off from ingest', () => {
  it('spools within its bound, holds the playbook back, and sends everything once after the cut', async () => {
    const spoolBytes = 4_000;
    proxy.limits = { spoolBytes };
    const id = await launch(template, { extraVars: { items: 1_500 } });
    const watcher = watch(id);
    await eventually(() => watcher.seen.counters.length > 50, { timeoutMs: 60_000, what: 'output' });
    proxy.mode = 'away';
    const [pod] = containersOf(id);
    // Neither given up nor run on without anybody to hear it: it is there, and can write nothing.
    const held = await eventually(
      async () => {
        const before = written(pod!);
        await pause(1_000);
        return written(pod!) === before ? before : null;
      },
      { timeoutMs: 90_000, what: 'a playbook that waits' },
    );
    const before = await committed(id);
    if (long) await pause(300_000);
    await eventually(() => proxy.unanswered > 2, { timeoutMs: 30_000, what: 'calls that nobody answered' });
    expect(await committed(id), 'nothing came through').toBe(before);
    expect(written(pod!)).toBe(held);
    proxy.mode = 'open';
    proxy.limits = {};
    const job = await over(id);
    expect(job.status, job.reason?.message).toBe('SUCCESSFUL');
    const lines = await expectWhole(toldOf(job), await watcher.done);
    const items = lines.filter((line) => line.includes('"event": "runner_item_on_ok"'));
    expect(items.length % 1_500).toBe(0);
    expect(items.length).toBeGreaterThan(0);
  });

  it('doubles nothing when ingest hears it and is not heard', async () => {
    const id = await launch(template, { extraVars: { items: 300 } });
    const watcher = watch(id);
    await eventually(() => watcher.seen.counters.length > 50, { timeoutMs: 60_000, what: 'output' });
    const before = proxy.unanswered;
    proxy.mode = 'deaf';
    if (long) await pause(300_000);
    await eventually(() => proxy.unanswered > before + 3, { timeoutMs: 30_000, what: 'lost answers' });
    proxy.mode = 'open';
    const job = await over(id);
    expect(job.status, job.reason?.message).toBe('SUCCESSFUL');
    await expectWhole(toldOf(job), await watcher.done);
  });
});
