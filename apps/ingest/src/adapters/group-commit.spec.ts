import { PlatformError } from '@gantry/contracts/errors';
import { describe, expect, it } from 'vitest';
import type { Batch } from '../domain/batch.js';
import type { Judged } from './append-transaction.js';
import { createGroupCommit } from './group-commit.js';

const batch = (jobId: string, firstCounter = 1): Batch =>
  ({ jobId, firstCounter, payload: Buffer.alloc(10) }) as Batch;
const judged = (batches: readonly Batch[]): Judged[] =>
  batches.map((one) => ({ batch: one, verdict: { kind: 'append' }, record: null }));

describe('the group commit', () => {
  it('takes the batches of many jobs into one transaction', async () => {
    const groups: string[][] = [];
    const group = createGroupCommit(
      async (batches) => (groups.push(batches.map((one) => one.jobId)), judged(batches)),
    );
    await Promise.all(['a', 'b', 'c'].map((job) => group.append(batch(job))));
    expect(groups).toEqual([['a', 'b', 'c']]);
  });
  it('waits for as many as came last time, not for its window', async () => {
    const groups: number[] = [];
    const group = createGroupCommit(async (batches) => (groups.push(batches.length), judged(batches)), {
      windowMilliseconds: 60_000,
    });
    await Promise.all(['a', 'b', 'c'].map((job) => group.append(batch(job))));
    const next = ['a', 'b'].map((job) => group.append(batch(job, 2)));
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(groups).toEqual([3]);
    await Promise.all([...next, group.append(batch('c', 2))]);
    expect(groups).toEqual([3, 3]);
  });
  it('cuts a group that would grow too large', async () => {
    const groups: string[][] = [];
    const group = createGroupCommit(
      async (batches) => (groups.push(batches.map((one) => one.jobId)), judged(batches)),
      { mostGroupBytes: 20 },
    );
    await Promise.all(['a', 'b', 'c'].map((job) => group.append(batch(job))));
    expect(groups).toEqual([['a', 'b'], ['c']]);
  });
  it('keeps two batches of a job apart and in order', async () => {
    const groups: number[][] = [];
    const group = createGroupCommit(
      async (batches) => (groups.push(batches.map((one) => one.firstCounter)), judged(batches)),
    );
    await Promise.all([group.append(batch('a', 1)), group.append(batch('a', 2))]);
    expect(groups).toEqual([[1], [2]]);
  });
  it('lets one bad batch take no other with it', async () => {
    const group = createGroupCommit(async (batches) => {
      if (batches.some((one) => one.jobId === 'bad')) throw new PlatformError('invalid', 'no');
      return judged(batches);
    });
    const settled = await Promise.allSettled(['a', 'bad', 'b'].map((job) => group.append(batch(job))));
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });
  it('refuses more than may wait', async () => {
    const group = createGroupCommit(async (batches) => judged(batches), { queueBytes: 10 });
    const first = group.append(batch('a'));
    const second = group.append(batch('b'));
    await expect(group.append(batch('c'))).rejects.toMatchObject({ code: 'unavailable' });
    await Promise.all([first, second]);
  });
  it('is not ready while Postgres takes nothing, and says why', async () => {
    let full = true;
    const group = createGroupCommit(async (batches) => {
      if (full) throw new PlatformError('unavailable', 'No space left on device');
      return judged(batches);
    });
    await expect(group.append(batch('a'))).rejects.toMatchObject({ code: 'unavailable' });
    expect(() => group.ready()).toThrow('No space left on device');
    full = false;
    await group.append(batch('a'));
    expect(() => group.ready()).not.toThrow();
  });
  it('finishes what waits when it stops', async () => {
    const group = createGroupCommit(async (batches) => judged(batches), { windowMilliseconds: 60_000 });
    const waiting = group.append(batch('a'));
    await group.stop();
    await expect(waiting).resolves.toMatchObject({ verdict: { kind: 'append' } });
    await expect(group.append(batch('b'))).rejects.toMatchObject({ code: 'unavailable' });
  });
});
