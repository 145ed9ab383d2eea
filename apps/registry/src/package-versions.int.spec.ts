import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { versionKey } from './package-versions.js';

const pieces = ['0', '1', '01', '9', '10', '.', '+', '~', '-', 'a', 'Z', 'rc', 'dfsg', 'deb12u1', '~bpo'];

/** The same versions at every run. */
const versions = (count: number): string[] => {
  let seed = 20261128;
  const next = (limit: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * limit);
  };
  return Array.from({ length: count }, () => {
    const words = Array.from({ length: 1 + next(6) }, () => pieces[next(pieces.length)]!).join('');
    return `${next(4) === 0 ? `${next(3)}:` : ''}1${words}`.replace(/-+$/, '');
  });
};

const isBefore = (one: string, other: string): boolean =>
  spawnSync('dpkg', ['--compare-versions', one, 'lt', other]).status === 0;

describe('keys of dpkg', () => {
  it('compare as dpkg itself compares', () => {
    const all = versions(400);
    for (let at = 1; at < all.length; at++) {
      const [one, other] = [all[at - 1]!, all[at]!];
      const [a, b] = [versionKey('dpkg', one)!, versionKey('dpkg', other)!];
      expect(a < b, `${one} < ${other}`).toBe(isBefore(one, other));
      expect(b < a, `${other} < ${one}`).toBe(isBefore(other, one));
    }
  });
});
