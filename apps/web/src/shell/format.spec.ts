import { describe, expect, it } from 'vitest';
import { shortHash, tellAgo, tellBytes, tellCount, tellDuration } from './format.js';

describe('a duration', () => {
  it.each([
    [0.038, '38 ms'],
    [0.25, '0.3 s'],
    [42.9, '42 s'],
    [187, '3 min 07 s'],
    [7_500, '2 h 05 min'],
    [Number.NaN, '–'],
  ])('of %s seconds reads %s', (seconds, text) => expect(tellDuration(seconds)).toBe(text));
});

describe('an instant', () => {
  const now = Date.parse('2026-11-23T12:00:00Z');
  it.each([
    ['2026-11-23T11:59:58Z', 'just now'],
    ['2026-11-23T11:59:20Z', '40 s ago'],
    ['2026-11-23T09:00:00Z', '3 h ago'],
    ['2026-11-20T12:00:00Z', '3 d ago'],
  ])('at %s was %s', (at, text) => expect(tellAgo(at, now)).toBe(text));
});

describe('small words', () => {
  it('are short and agree in number', () => {
    expect(shortHash('sha256:0123456789abcdef')).toBe('0123456789ab');
    expect([tellCount(1, 'host'), tellCount(2, 'host')]).toEqual(['1 host', '2 hosts']);
  });
});

describe('a size', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [12_345_678, '12.3 MB'],
  ])('of %s bytes reads %s', (bytes, text) => expect(tellBytes(bytes)).toBe(text));
});
