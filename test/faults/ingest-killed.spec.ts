/** F1: ingest killed again and again in the middle of what it writes. */
import { describe, expect, it } from 'vitest';
import { launch, over } from '../e2e/api.js';
import { openPod } from './launcher.js';
import { expectWhole, toldBy, toldOf } from './oracle.js';
import { healed, long, pause, signal } from './parts.js';
import { print } from './pod.js';
import { watch } from './watcher.js';

const seconds = long ? 60 : 16;

describe('ingest, killed every two seconds at 5,000 events a second', () => {
  it('loses nothing and stores nothing twice', async () => {
    const pods = await Promise.all([1, 2, 3, 4].map(() => openPod()));
    const watchers = pods.map(({ jobId }) => watch(jobId));
    const real = await launch('Demo Slow', { extraVars: { seconds } });
    const realWatcher = watch(real);
    const printing = Promise.all(pods.map((pod) => print(pod, { perSecond: 1_250, seconds })));
    let kills = 0;
    for (let second = 0; second < seconds; second += 2) {
      await pause(2_000);
      if (signal('ingest')) kills++;
    }
    await printing;
    await Promise.all(pods.map((pod) => pod.finish()));
    expect(kills).toBeGreaterThan(2);
    const job = await over(real);
    expect(job.status, job.reason?.message).toBe('SUCCESSFUL');
    for (const [index, pod] of pods.entries()) {
      await expectWhole(toldBy(pod), await watchers[index]!.done);
      // Away: no answer at all. Never a defect, never a refusal.
      expect([...pod.answers.keys()].filter((status) => ![0, 200, 409, 503].includes(status))).toEqual([]);
    }
    await expectWhole(toldOf(job), await realWatcher.done);
    await healed();
  });
});
