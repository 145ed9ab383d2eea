import { PlatformError, errorTreatments, type ErrorCode } from '@gantry/contracts/errors';
import { describe, expect, it } from 'vitest';
import { MAX_DEFECT_DELIVERIES, settle } from './settlement.js';

const error = (code: ErrorCode): PlatformError => new PlatformError(code, 'a sentence');

describe('a message whose handler failed', () => {
  it.each(['unavailable', 'conflict', 'cancelled'] as const)(
    'comes again for ever when it was %s',
    (code) => {
      for (const deliveries of [1, 2, 1_000])
        expect(settle(error(code), deliveries)).toMatchObject({ kind: 'again' });
    },
  );

  it('waits longer each time, at most half a minute', () => {
    const delays = [1, 2, 3, 50].map(
      (deliveries) =>
        (settle(error('unavailable'), deliveries) as { delayMilliseconds: number }).delayMilliseconds,
    );
    expect(delays).toEqual([250, 500, 1_000, 30_000]);
  });

  it.each(['invalid', 'forbidden', 'not_found', 'unauthenticated'] as const)(
    'is dead at once when it was %s',
    (code) => {
      expect(settle(error(code), 1)).toEqual({ kind: 'dead', reason: `${code}: a sentence` });
    },
  );

  it('is done with when a rule said no', () => {
    expect(settle(error('refused'), 1)).toEqual({ kind: 'ack' });
  });

  it('is tried a few times when the failure is our bug, then dead with its cause', () => {
    const bug = new TypeError('x is undefined');
    expect(settle(bug, MAX_DEFECT_DELIVERIES - 1)).toMatchObject({ kind: 'again' });
    expect(settle(bug, MAX_DEFECT_DELIVERIES)).toMatchObject({
      kind: 'dead',
      reason: expect.stringContaining('x is undefined'),
    });
  });

  it('is settled for every code there is', () => {
    for (const code of Object.keys(errorTreatments) as ErrorCode[])
      expect(settle(error(code), 1).kind).toMatch(/ack|again|dead/);
  });
});
