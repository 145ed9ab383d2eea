/** F3: the launcher killed while jobs run. Nobody owns a running job: it ends as its pod says, or as its pod ended. */
import { describe, expect, it } from 'vitest';
import { containersOf, engine, getJob, launch, over } from '../e2e/api.js';
import { makeTemplate } from '../e2e/objects.js';
import { eventually } from '@gantry/testkit/eventually';
import { expectWhole, toldOf } from './oracle.js';
import { healed, pause, signal } from './parts.js';
import { watch } from './watcher.js';

describe('a launcher that is killed while jobs run', () => {
  it('changes nothing about how they end', async () => {
    const fails = await makeTemplate('fails.yml');
    const [slow, slower, failing, doomed] = await Promise.all([
      launch('Demo Slow', { extraVars: { seconds: 4 } }),
      launch('Demo Slow', { extraVars: { seconds: 8 } }),
      launch(fails),
      launch('Demo Slow', { extraVars: { seconds: 60 } }),
    ]);
    const watchers = [slow, slower, failing].map((id) => watch(id));
    const doomedWatcher = watch(doomed!);
    await eventually(() => doomedWatcher.seen.counters.length > 3, {
      timeoutMs: 60_000,
      what: 'output of the job whose pod will be killed',
    });
    signal('launcher');
    // Its pod ends while nobody looks: only the engine's word is left.
    engine('kill', containersOf(doomed!)[0]!);
    await pause(2_000);
    signal('launcher');
    const [a, b, c, d] = await Promise.all([slow, slower, failing, doomed].map((id) => over(id!)));
    expect([a!.status, b!.status, c!.status], JSON.stringify([a!.reason, b!.reason, c!.reason])).toEqual([
      'SUCCESSFUL',
      'SUCCESSFUL',
      'FAILED',
    ]);
    expect(d).toMatchObject({ status: 'ERROR', reason: { message: expect.stringContaining('137') } });
    for (const [index, job] of [a!, b!, c!].entries())
      await expectWhole(toldOf(job), await watchers[index]!.done);
    // What the killed pod had sent is kept, and sealed as a record without a last word.
    const kept = await doomedWatcher.done;
    expect(kept.counters).toEqual(Array.from({ length: d!.record!.lastCounter }, (_, index) => index + 1));
    expect(kept.final!.status).toBeNull();
    for (const job of [a!, b!, c!, d!]) {
      const { timeline } = await getJob(job.id);
      expect(timeline.filter(({ type }) => type === 'job.pod_created')).toHaveLength(1);
      expect(timeline.filter(({ type }) => type === 'job.finished')).toHaveLength(1);
      expect(containersOf(job.id)).toEqual([]);
    }
    await healed();
  });
});
