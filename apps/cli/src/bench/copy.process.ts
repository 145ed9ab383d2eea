/** COPY of the same events, one row each: the reference of `ingest` and `storage`. */
import type { CopyOrder, CopyPlan, CopyWord } from './copy.js';
import { forkScript, wordOf } from './load.process.js';
import type { Figures } from './result.js';
import type { World } from './world.js';

/** Copies them into a table made for it, measures, and drops the table. CPU: the copying process and Postgres. */
export const copyRows = async (
  world: World,
  plan: Omit<CopyPlan, 'databaseUrl'>,
): Promise<
  Required<
    Pick<Figures, 'events' | 'seconds' | 'eventsPerSecond' | 'cpuSecondsPer1000Events' | 'bytesPerEvent'>
  >
> => {
  const { database } = world;
  const events = plan.jobIds.length * plan.eventsPerJob;
  await database.query('drop table if exists public.bench_event');
  await database.query(
    'create table public.bench_event (job_id uuid not null, counter integer not null, event jsonb not null, primary key (job_id, counter))',
  );
  const child = forkScript('./copy.js');
  const say = (order: CopyOrder): void => void child.send(order);
  try {
    const ready = wordOf<CopyWord, 'ready'>(child, 'ready');
    say({ kind: 'plan', plan: { ...plan, databaseUrl: world.databaseUrl } });
    await ready;
    await world.settle();
    const before = world.cpu();
    const done = wordOf<CopyWord, 'done'>(child, 'done');
    say({ kind: 'go' });
    const { seconds, cpuSeconds } = (await done).done;
    const used = world.cpu() - before + cpuSeconds;
    const { rows } = await database.query<{ bytes: string }>(
      `select pg_total_relation_size('public.bench_event') as bytes`,
    );
    return {
      events,
      seconds,
      eventsPerSecond: events / seconds,
      cpuSecondsPer1000Events: (used / events) * 1_000,
      bytesPerEvent: Number(rows[0]!.bytes) / events,
    };
  } finally {
    child.kill('SIGKILL');
    await database.query('drop table if exists public.bench_event');
  }
};
