import type { LiveHint } from '@gantry/contracts/record';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLive, type Live } from './live.js';

const hint = (jobId: string, committedCounter: number, sealed = false): LiveHint => ({
  jobId,
  committedCounter,
  sealed,
});

describe('hints', () => {
  const published: LiveHint[] = [];
  let live: Live;
  beforeEach(() => {
    vi.useFakeTimers();
    published.length = 0;
    live = createLive((told) => published.push(told), 20);
  });
  afterEach(() => vi.useRealTimers());

  it('go out at once, and then as one, the newest, with the seal if there was one', () => {
    live.committed(hint('a', 1));
    live.committed(hint('b', 5));
    expect(published).toEqual([hint('a', 1), hint('b', 5)]);
    live.committed(hint('a', 9, true));
    live.committed(hint('a', 8));
    expect(published).toHaveLength(2);
    vi.advanceTimersByTime(20);
    expect(published.slice(2)).toEqual([hint('a', 9, true)]);
  });

  it('are at once again after a pause, and leave nothing behind', () => {
    live.committed(hint('a', 1));
    vi.advanceTimersByTime(20);
    expect(vi.getTimerCount()).toBe(0);
    live.committed(hint('a', 2));
    expect(published).toEqual([hint('a', 1), hint('a', 2)]);
  });

  it('that wait are sent at the end', () => {
    live.committed(hint('a', 1));
    live.committed(hint('a', 2));
    live.stop();
    expect(published.at(-1)).toEqual(hint('a', 2));
    expect(vi.getTimerCount()).toBe(0);
  });
});
