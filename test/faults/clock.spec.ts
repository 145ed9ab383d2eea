/** F13: clocks that jump. Counters order everything; what expires does so by the clock of who decides. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '@gantry/testkit/eventually';
import { afterEach, describe, expect, it } from 'vitest';
import { launch, over, world } from '../e2e/api.js';
import { openPod } from './launcher.js';
import { expectWhole, toldBy, toldOf } from './oracle.js';
import { healed, pause, sql } from './parts.js';
import { usualEvent, type Pod } from './pod.js';
import { watch } from './watcher.js';

const hour = 3_600_000;
/** What no payload has: 404 to who may ask. */
const object = `objects/${'f'.repeat(64)}`;
const file = join(world.home, 'clock-ingest');
afterEach(async () => {
  rmSync(file, { force: true });
  await healed();
});

/** Prints with the clock of the pod an hour off, now forwards and now backwards. */
const printAround = async (pod: Pod, seconds: number): Promise<void> => {
  for (let batch = 0; batch < seconds * 10; batch++) {
    const created = new Date(Date.now() + (batch % 2 ? hour : -hour)).toISOString();
    pod.enqueue(Array.from({ length: 50 }, (_, index) => ({ ...usualEvent(index), created })));
    await pause(100);
  }
};

describe.each([
  ['an hour ahead', hour],
  ['an hour behind', -hour],
])('an ingest whose clock jumps %s, under pods whose clocks jump too', (_name, shift) => {
  it('takes everything in the order of its counters', async () => {
    const [pod, zombie] = await Promise.all([openPod(), openPod()]);
    const watcher = watch(pod.jobId);
    const real = await launch('Demo Slow', { extraVars: { seconds: 5 } });
    const realWatcher = watch(real);
    await eventually(() => realWatcher.seen.counters.length > 2, {
      timeoutMs: 60_000,
      what: 'a running job',
    });
    const printing = printAround(pod, 4);
    await eventually(() => pod.committed > 200, { what: 'load' });
    expect((await zombie.call(object, null)).status).toBe(404);
    writeFileSync(file, String(shift));
    // The clock of the process did jump: it stamps what it receives.
    await eventually(
      async () => {
        const [newest] = await sql<{ off: number }>(
          `select extract(epoch from received_at - now())::float8 as off from ingest.job_chunk where job_id = $1
           order by first_counter desc limit 1`,
          [pod.jobId],
        );
        return Math.abs(newest!.off - shift / 1_000) < 60;
      },
      { what: 'the jump of the clock' },
    );
    const jumped = pod.committed;
    await eventually(() => pod.committed > jumped, { what: 'events taken after the jump' });
    // What ingest believes for a second it does not believe for an hour.
    await openPod(zombie.jobId, 2);
    await eventually(async () => (await zombie.call(object, null)).status === 403, {
      what: 'the end of a token that was replaced',
    });
    await printing;
    await pod.delivered();
    expect([...pod.answers.keys()]).toEqual([200]);
    rmSync(file);
    await pod.finish();
    const job = await over(real);
    expect(job.status, job.reason?.message).toBe('SUCCESSFUL');
    // Who comes later reads pages that reach over the jump.
    await expectWhole(toldBy(pod), await watcher.done, await watch(pod.jobId).done);
    await expectWhole(toldOf(job), await realWatcher.done);
  });
});
