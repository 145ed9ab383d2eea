/** F1: ingest killed again and again in the middle of what it writes. */
import { eventually } from '@gantry/testkit/eventually';
import { describe, expect, it } from 'vitest';
import { launch, over } from '../e2e/api.js';
import { openPod } from './launcher.js';
import { expectWhole, toldBy, toldOf } from './oracle.js';
import { healed, long, pause, pidOf, signal } from './parts.js';
import { print } from './pod.js';
import { watch } from './watcher.js';

const [kills, betweenMilliseconds] = long ? [30, 2_000] : [5, 1_000];

describe('ingest, killed again and again at 5,000 events a second', () => {
  it('loses nothing and stores nothing twice', async () => {
    const pods = await Promise.all([1, 2, 3, 4].map(() => openPod()));
    const watchers = pods.map(({ jobId }) => watch(jobId));
    const real = await launch('Demo Slow', { extraVars: { seconds: long ? 60 : 10 } });
    const realWatcher = watch(real);
    const killed = new AbortController();
    const load = { perSecond: 1_250, seconds: 240, signal: killed.signal };
    const printing = Promise.all(pods.map((pod) => print(pod, load)));
    const taken = (): number => pods.reduce((sum, { committed }) => sum + committed, 0);
    let dead: number | null = null;
    for (let kill = 0; kill < kills; kill++) {
      // Ready again, and nobody counts an answer of the one before.
      await eventually(() => ![null, dead].includes(pidOf('ingest')), {
        timeoutMs: 60_000,
        what: `ingest before kill ${kill}`,
      });
      const before = taken();
      await pause(betweenMilliseconds);
      // Not while it starts: in the middle of its work.
      await eventually(() => taken() > before, {
        timeoutMs: 60_000,
        what: `events taken before kill ${kill}`,
      });
      dead = pidOf('ingest');
      expect(signal('ingest')).toBe(true);
    }
    killed.abort();
    await printing;
    await Promise.all(pods.map((pod) => pod.finish()));
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
