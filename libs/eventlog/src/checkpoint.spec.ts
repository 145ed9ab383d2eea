import { describe, expect, it } from 'vitest';
import { checkpointOf, compareCheckpoints, logStart } from './checkpoint.js';

const at = (transactionId: string, position: string) => ({ transactionId, position });

describe('checkpoints', () => {
  it('are ordered by transaction first, then by position, as numbers', () => {
    const sorted = [
      at('10', '1'),
      at('9', '100'),
      logStart,
      at('9', '20'),
      at('18446744073709551615', '5'),
    ].sort(compareCheckpoints);
    expect(sorted).toEqual([
      logStart,
      at('9', '20'),
      at('9', '100'),
      at('10', '1'),
      at('18446744073709551615', '5'),
    ]);
  });

  it('tell neighbours apart beyond the precision of a number', () => {
    expect(compareCheckpoints(at('9007199254740993', '1'), at('9007199254740992', '1'))).toBeGreaterThan(0);
    expect(compareCheckpoints(at('7', '7'), at('7', '7'))).toBe(0);
  });

  it('are taken from an event without the rest of it', () => {
    expect(checkpointOf({ ...at('3', '4'), stream: 'x' } as never)).toEqual(at('3', '4'));
  });
});
