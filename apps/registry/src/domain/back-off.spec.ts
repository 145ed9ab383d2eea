import { describe, expect, it } from 'vitest';
import { afterFailure, type Waiting } from './back-off.js';

const quick = { failure: 'away' as const, words: 'no', tookMilliseconds: 5 };

describe('a registry that gives no answer', () => {
  it('is left alone for twice as long each time, up to a quarter of an hour', () => {
    let state: Waiting | undefined;
    const waits = Array.from({ length: 12 }, () => {
      state = afterFailure(state, quick, 0, 0.5);
      return state.retryAt / 1_000;
    });
    expect(waits.slice(0, 4)).toEqual([10, 20, 40, 80]);
    expect(waits.at(-1)).toBe(900);
  });

  it('is not asked again by all at the same moment', () => {
    expect(afterFailure(undefined, quick, 1_000, 0).retryAt).toBe(9_000);
    expect(afterFailure(undefined, quick, 1_000, 1).retryAt).toBe(13_000);
  });

  it('is asked by launches all the same, unless it was silent or said how long to wait', () => {
    expect(afterFailure(undefined, quick, 1_000, 0.5).spareUntil).toBe(1_000);
    expect(afterFailure(undefined, { ...quick, tookMilliseconds: 3_000 }, 1_000, 0.5).spareUntil).toBe(
      11_000,
    );
    const told = afterFailure(undefined, { ...quick, retryAfterMilliseconds: 60_000 }, 1_000, 0.5);
    expect(told).toMatchObject({ spareUntil: 61_000, retryAt: 61_000 });
  });

  it('does not choose a wait of days', () => {
    const told = afterFailure(undefined, { ...quick, retryAfterMilliseconds: 1e9 }, 0, 0.5);
    expect(told.retryAt).toBe(3_600_000);
  });
});
