import { describe, expect, it } from 'vitest';
import { judge, type BatchClaim, type RecordState } from './append.js';

const state: RecordState = { epoch: 2, lastCounter: 20, head: 'head', sealed: false, closed: false };
const batch: BatchClaim = { epoch: 2, firstCounter: 21, lastCounter: 30, previousHash: 'head', hash: 'next' };
const again: BatchClaim = {
  epoch: 2,
  firstCounter: 11,
  lastCounter: 20,
  previousHash: 'before',
  hash: 'head',
};
const committed = { firstCounter: 11, lastCounter: 20, hash: 'head' };

describe('a batch', () => {
  it('is appended when it is the next one', () => {
    expect(judge(state, batch, null)).toEqual({ kind: 'append' });
  });
  it('is out of step when events before it are missing', () => {
    expect(judge(state, { ...batch, firstCounter: 22 }, null)).toEqual({ kind: 'gap' });
  });
  it('is out of step when it continues another chain', () => {
    expect(judge(state, { ...batch, previousHash: 'other' }, null)).toEqual({ kind: 'gap' });
  });
  it('is committed already when the same bytes are', () => {
    expect(judge(state, again, committed)).toEqual({ kind: 'committed' });
  });
  it('raises an alarm when other bytes are committed', () => {
    expect(judge(state, { ...again, hash: 'forged' }, committed)).toEqual({
      kind: 'integrity',
      committedHash: 'head',
    });
  });
  it('has to be compared when it was cut otherwise', () => {
    expect(judge(state, { ...again, lastCounter: 25 }, committed)).toEqual({ kind: 'compare' });
    expect(judge(state, { ...again, firstCounter: 12 }, null)).toEqual({ kind: 'compare' });
  });
  it('of a replaced attempt is refused, whatever it holds', () => {
    expect(judge(state, { ...batch, epoch: 1 }, null)).toEqual({ kind: 'stale_epoch' });
    expect(judge(state, { ...again, epoch: 1 }, committed)).toEqual({ kind: 'stale_epoch' });
  });
});

describe('a sealed record', () => {
  const sealed = { ...state, sealed: true };
  it('takes no more', () => {
    expect(judge(sealed, batch, null)).toEqual({ kind: 'closed' });
  });
  it('still answers for what it has', () => {
    expect(judge(sealed, again, committed)).toEqual({ kind: 'committed' });
  });
  it('answers nobody once it is closed', () => {
    expect(judge({ ...sealed, closed: true }, again, committed)).toEqual({ kind: 'closed' });
  });
});
