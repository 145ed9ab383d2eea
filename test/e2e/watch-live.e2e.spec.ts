import { describe, expect, it } from 'vitest';
import { allEvents, ask, launch, over, post, subscriber, watch, type Batch } from './api.js';

/** Reads batches until `enough`, then hangs up, as a client that loses its connection does. */
const readUntil = async (
  jobId: string,
  after: number,
  enough: (batch: Batch) => boolean,
): Promise<Batch[]> => {
  const client = subscriber();
  const batches: Batch[] = [];
  try {
    for await (const { data, errors } of watch(client, jobId, after)) {
      if (errors) throw new Error(JSON.stringify(errors));
      batches.push(data!.jobOutput);
      if (enough(data!.jobOutput)) break;
    }
  } finally {
    await client.dispose();
  }
  return batches;
};

describe('watching a job live', () => {
  it('gives every event exactly once to a client that comes in the middle, goes, and comes back', async () => {
    const id = await launch('Demo Slow', { extraVars: { seconds: 6 } });
    const first = await readUntil(id, 0, ({ lastCounter }) => lastCounter >= 5);
    const rest = await readUntil(id, first.at(-1)!.lastCounter, ({ final }) => final !== null);
    const counters = [...first, ...rest].flatMap(({ events }) => events.map(({ counter }) => counter));
    const job = await over(id);
    expect(counters).toEqual(Array.from({ length: job.record!.lastCounter }, (_, index) => index + 1));
    expect(rest.at(-1)!.final).toEqual({
      count: job.record!.lastCounter,
      sha256: job.record!.sha256,
      status: 'SUCCESSFUL',
    });
  });

  it('shows output while the job runs, not after it', async () => {
    const id = await launch('Demo Slow', { extraVars: { seconds: 6 } });
    await readUntil(id, 0, ({ events }) => events.length > 0);
    const { job } = await ask<{ job: { status: string } }>('query ($id: ID!) { job(id: $id) { status } }', {
      id,
    });
    expect(job.status).toBe('RUNNING');
    await over(id);
  });

  it('is the same afterwards: history and live are one', async () => {
    const id = await launch('Demo Job Template');
    await over(id);
    const batches = await readUntil(id, 0, ({ final }) => final !== null);
    expect(batches.flatMap(({ events }) => events.map(({ stdout }) => stdout))).toEqual(
      (await allEvents(id)).map(({ stdout }) => stdout),
    );
  });

  it('tells each change of status, up to the last', async () => {
    const id = await launch('Demo Job Template');
    const client = subscriber();
    const seen: string[] = [];
    for await (const { data } of client.iterate<{ jobStatus: { status: string } }>({
      query: 'subscription ($id: ID) { jobStatus(jobId: $id) { status } }',
      variables: { id },
    })) {
      seen.push(data!.jobStatus.status);
    }
    await client.dispose();
    expect(seen.at(-1)).toBe('SUCCESSFUL');
    expect([...new Set(seen)]).toEqual(expect.arrayContaining(['RUNNING', 'SUCCESSFUL']));
  });

  it('refuses a job that is not there', async () => {
    const { data } = await post<{ job: null }>('{ job(id: "0198f000-0000-7000-8000-000000000001") { id } }');
    expect(data).toEqual({ job: null });
    const client = subscriber();
    await expect(watch(client, '0198f000-0000-7000-8000-000000000001').next()).rejects.toMatchObject([
      { extensions: { code: 'NOT_FOUND' } },
    ]);
    await client.dispose();
  });
});
