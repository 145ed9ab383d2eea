import type { LinkedEvent } from '@gantry/contracts/proof';
import { describe, expect, it } from 'vitest';
import { chainHash, chainStart } from './hash-chain.js';
import { checkStream, nearlyEqual } from './stream-check.js';

const stream = 'job-1';
const meta = { actor: { kind: 'system' as const, id: 's', name: 's' }, correlationId: 'c' };

/** A whole stream of so many events. */
const streamOf = (count: number): LinkedEvent[] => {
  let previous = chainStart;
  return Array.from({ length: count }, (_, index) => {
    const event = {
      id: `0b9e6a4e-5d0b-4c56-9b0d-0d6a3a3f000${index}`,
      stream,
      streamVersion: index + 1,
      type: 'job.happened',
      version: 1,
      data: { number: index },
      meta,
      at: '2026-01-02T03:04:05.678Z',
    };
    const previousHash = previous.toString('hex');
    previous = chainHash(previous, event);
    return { ...event, previousHash, hash: previous.toString('hex') };
  });
};
const named = (events: LinkedEvent[]): string[] =>
  checkStream('job_stream', stream, events).map(({ version, column }) => `${version} ${column ?? 'missing'}`);
const flip = (hex: string): string => (hex.startsWith('0') ? '1' : '0') + hex.slice(1);

describe('a stream', () => {
  it('of any length is intact as it was written', () => {
    for (const count of [0, 1, 5]) expect(named(streamOf(count))).toEqual([]);
  });

  it('of which events are gone says which', () => {
    const events = streamOf(6);
    expect(named(events.slice(1))).toEqual(['1 missing']);
    expect(named([events[0]!, ...events.slice(3)])).toEqual(['2 missing']);
  });

  it.each([0, 2, 4])('with one event changed (%i) names that one and no other', (index) => {
    const change = (more: (event: LinkedEvent) => Partial<LinkedEvent>): string[] =>
      named(streamOf(5).map((event, place) => (place === index ? { ...event, ...more(event) } : event)));
    const version = index + 1;
    expect(change(() => ({ data: { number: 99 } }))).toEqual([`${version} content`]);
    expect(change(() => ({ at: '2026-01-02 03:04:05.678001+00' }))).toEqual([`${version} content`]);
    expect(change(({ hash }) => ({ hash: flip(hash) }))).toEqual([`${version} hash`]);
    expect(change(({ previousHash }) => ({ previousHash: flip(previousHash) }))).toEqual([
      `${version} previous_hash`,
    ]);
    expect(change(() => ({ stream: 'job-2' }))).toEqual([`${version} stream`, `${version} content`]);
  });

  it('whose end was rewritten with a chain of its own does not follow', () => {
    const [events, other] = [streamOf(4), streamOf(4)];
    const forged = { ...other[2]!, data: { number: 7 }, previousHash: 'ab'.repeat(32) };
    forged.hash = chainHash(Buffer.from(forged.previousHash, 'hex'), { ...forged, meta }).toString('hex');
    expect(named([events[0]!, events[1]!, forged])).toEqual(['3 previous_hash']);
  });
});

describe('two hashes', () => {
  it('are near when one byte was flipped, not when they are of something else', () => {
    expect(nearlyEqual('00ff', '00fe')).toBe(true);
    expect(nearlyEqual('00ff', '01fe')).toBe(false);
    expect(nearlyEqual('00ff', '00')).toBe(false);
  });
});
