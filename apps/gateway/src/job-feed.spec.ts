import { PlatformError } from '@gantry/contracts/errors';
import { GetJob } from '@gantry/contracts/job';
import { ListJobEvents } from '@gantry/contracts/record';
import { describe, expect, it } from 'vitest';
import type { GraphqlContext } from './context.js';
import { jobOutput } from './job-feed.js';
import { createJobTails, type OutputBatch } from './job-tails.js';
import { createWatchRights } from './watch-rights.js';

/** A job's record that grows between reads: each answer of ingest in turn. */
const contextOf = (pages: (object | PlatformError)[], status = 'running') => {
  const asked: number[] = [];
  const call = async (command: object, input: { after: number }) => {
    if (command === GetJob) return { status };
    if (command !== ListJobEvents) throw new Error('not expected');
    asked.push(input.after);
    const page = pages.shift();
    if (page instanceof PlatformError) throw page;
    return page;
  };
  // Something has always changed: nobody waits.
  const live = {
    onNews: () => () => undefined,
    onAccess: () => () => undefined,
    onOutput: (_jobId: string, hint: (value: object) => void) => {
      let committedCounter = 1_000;
      const hints = setInterval(() => hint({ committedCounter: committedCounter++, sealed: false }), 1);
      return () => clearInterval(hints);
    },
  };
  const session = { principal: {}, assertion: '', tokenExpiresAt: null };
  return {
    asked,
    context: {
      call,
      session: async () => session,
      tails: createJobTails(live as never),
      rights: createWatchRights(),
    } as unknown as GraphqlContext,
  };
};

const page = (
  counters: number[],
  committedCounter: number,
  final: object | null = null,
  lastCounter = counters.at(-1) ?? 0,
) => ({
  events: counters.map((counter) => ({ counter })),
  lastCounter,
  committedCounter,
  final,
});

const collect = async (context: GraphqlContext, after = 0): Promise<OutputBatch[]> => {
  const batches: OutputBatch[] = [];
  const { signal } = new AbortController();
  for await (const batch of jobOutput(context, { jobId: 'j', after }, signal)) batches.push(batch);
  return batches;
};

describe('the output of a job', () => {
  it('goes from what is stored to what comes, without a gap, and ends with the final batch', async () => {
    const { context, asked } = contextOf([
      page([1, 2], 4),
      page([3, 4], 4),
      page([], 4, null, 4),
      page([5], 5, { count: 5 }),
    ]);
    const batches = await collect(context);
    expect(batches.flatMap(({ events }) => events.map(({ counter }) => counter))).toEqual([1, 2, 3, 4, 5]);
    expect(asked).toEqual([0, 2, 4, 4]);
    expect(batches.at(-1)?.final).toEqual({ count: 5 });
    expect(batches.map(({ firstCounter }) => firstCounter)).toEqual([1, 3, 5]);
  });

  it('moves on over events that the filter leaves out', async () => {
    const { context, asked } = contextOf([page([], 900, null, 500), page([700], 900, { count: 900 }, 900)]);
    await collect(context);
    expect(asked).toEqual([0, 500]);
  });

  it('waits for a record that is not there yet', async () => {
    const { context } = contextOf([new PlatformError('not_found', 'no record'), page([1], 1, { count: 1 })]);
    expect(await collect(context)).toHaveLength(1);
  });

  it('ends for a job that ended without ever having a record', async () => {
    const { context } = contextOf([new PlatformError('not_found', 'no record')], 'error');
    expect(await collect(context)).toMatchObject([{ events: [], final: { count: 0, status: 'error' } }]);
  });

  it('ends with the reason and the cursor when the watcher may not look any more', async () => {
    const { context } = contextOf([page([1], 2), new PlatformError('forbidden', 'no longer')]);
    await expect(collect(context)).rejects.toMatchObject({ code: 'forbidden', details: { lastCounter: 1 } });
  });
});
