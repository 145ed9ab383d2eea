/** F5: Postgres restarted under load. What is not committed is not acknowledged, and everything goes on by itself. */
import { describe, expect, it } from 'vitest';
import { eventually } from '@gantry/testkit/eventually';
import { launch, over } from '../e2e/api.js';
import { openPod } from './launcher.js';
import { expectWhole, toldBy, toldOf } from './oracle.js';
import { healed, signal, sql } from './parts.js';
import { print } from './pod.js';
import { watch } from './watcher.js';

const killBackend = async (): Promise<void> => {
  const [backend] = await sql<{ pid: number }>(
    `select pid from pg_stat_activity where usename = 'gantry_ingest' order by backend_start limit 1`,
  );
  process.kill(backend!.pid, 'SIGKILL');
};

describe.each<[string, () => void | Promise<void>]>([
  ['stopped fast', () => void signal('postgres', 'SIGINT')],
  ['stopped immediately', () => void signal('postgres', 'SIGQUIT')],
  ['rid of a backend by kill -9, which resets them all', killBackend],
])('Postgres, %s under load', (_name, strike) => {
  it('comes back to find nothing acknowledged that it does not have', async () => {
    const pod = await openPod();
    const watcher = watch(pod.jobId);
    const real = await launch('Demo Slow', { extraVars: { seconds: 4 } });
    const realWatcher = watch(real);
    await eventually(() => realWatcher.seen.counters.length > 0, {
      timeoutMs: 60_000,
      what: 'a running job',
    });
    const printing = print(pod, { perSecond: 2_000, seconds: 4 });
    await eventually(() => pod.committed > 1_000, { what: 'load' });
    await strike();
    await printing;
    await pod.finish();
    const job = await over(real);
    expect(job.status, job.reason?.message).toBe('SUCCESSFUL');
    await expectWhole(toldBy(pod), await watcher.done);
    await expectWhole(toldOf(job), await realWatcher.done);
    expect([...pod.answers.keys()].filter((status) => ![0, 200, 409, 503].includes(status))).toEqual([]);
    await healed();
  });
});
