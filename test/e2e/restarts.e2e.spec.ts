import { serviceNames } from '@gantry/contracts/command';
import { describe, expect, it } from 'vitest';
import { allEvents, containersOf, getJob, launch, over, partPid, pidOf, subscriber, watch } from './api.js';

/** Until the pod has said something. */
const untilOutput = async (id: string): Promise<void> => {
  const client = subscriber();
  for await (const { data } of watch(client, id)) if (data!.jobOutput.events.length > 0) break;
  await client.dispose();
};

describe('a service killed while a job runs', () => {
  it.each(serviceNames)('%s: the job ends successful and its record is complete', async (service) => {
    const id = await launch('Demo Slow', { extraVars: { seconds: 5 } });
    await untilOutput(id);
    const pid = pidOf(service);
    process.kill(pid, 'SIGKILL');
    const job = await over(id);
    expect(job.status, job.reason?.message).toBe('SUCCESSFUL');
    const events = await allEvents(id);
    expect(events.map(({ counter }) => counter)).toEqual(
      Array.from({ length: job.record!.lastCounter }, (_, index) => index + 1),
    );
    expect(events.filter(({ event }) => event === 'playbook_on_stats')).toHaveLength(1);
    expect(containersOf(id)).toEqual([]);
    expect((await getJob(id)).timeline.filter(({ type }) => type === 'job.pod_created')).toHaveLength(1);
    expect(pidOf(service)).not.toBe(pid);
  });
});

describe('a part that Gantry stands on, killed while a job runs', () => {
  it.each(['nats', 'postgres', 'engine'])(
    '%s: the job ends successful and its record is complete',
    async (part) => {
      const id = await launch('Demo Slow', { extraVars: { seconds: 5 } });
      await untilOutput(id);
      process.kill(partPid(part), 'SIGKILL');
      const job = await over(id);
      expect(job.status, job.reason?.message).toBe('SUCCESSFUL');
      const events = await allEvents(id);
      expect(events.map(({ counter }) => counter)).toEqual(
        Array.from({ length: job.record!.lastCounter }, (_, index) => index + 1),
      );
      expect(containersOf(id)).toEqual([]);
    },
  );
});

describe('a launcher killed right after the launch', () => {
  it('leaves a job that the next one finishes, in one pod', async () => {
    const id = await launch('Demo Job Template');
    process.kill(pidOf('launcher'), 'SIGKILL');
    const job = await over(id);
    expect(job.status, job.reason?.message).toBe('SUCCESSFUL');
    expect(job.timeline.filter(({ type }) => type === 'job.pod_created')).toHaveLength(1);
    expect(containersOf(id)).toEqual([]);
  });
});
