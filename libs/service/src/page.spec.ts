import { describe, expect, it } from 'vitest';
import { decodeCursor, encodeCursor } from './page.js';

describe('a cursor', () => {
  it('stands for the values it was made of', () => {
    const values = ['2026-11-23 10:00:00.123456+00', 'ä"{'];
    expect(decodeCursor(encodeCursor(values), 2)).toEqual(values);
  });

  it.each([
    '',
    '%%%',
    encodeCursor(['one']),
    Buffer.from('[1,2]').toString('base64url'),
    Buffer.from('{}').toString('base64url'),
  ])('is refused when made up: %s', (text) => {
    expect(() => decodeCursor(text, 2)).toThrow(/not a cursor/);
  });
});
