import type { PackageKind } from '@gantry/contracts/image';
import { compare } from '@renovatebot/pep440';
import semver from 'semver';
import { describe, expect, it } from 'vitest';
import { readComparisons, versionKey } from './package-versions.js';

/** Versions from the oldest to the newest. */
const ascending: Record<PackageKind, string[]> = {
  collection: [
    '0.9.9', '1.0.0-alpha', '1.0.0-alpha.1', '1.0.0-alpha.beta', '1.0.0-beta', '1.0.0-beta.2', '1.0.0-beta.11', '1.0.0-rc.1', '1.0.0',
    '1.0.1', '1.2.0', '1.10.0', '7.5.9', '8.0.0', '10.0.0',
  ],
  python: [
    '0.9', '1.0.dev1', '1.0a1.dev1', '1.0a1', '1.0a2', '1.0b1', '1.0rc1', '1.0rc2.post1', '1.0', '1.0+local', '1.0+local.1', '1.0+1', '1.0.post1.dev1',
    '1.0.post1', '1.0.1', '1.1', '1.10', '2.0', '1!0.1',
  ],
  dpkg: ['0~~', '0~', '0', '0a', '0+', '1.0~rc1-1', '1.0-1~bpo12+1', '1.0-1', '1.0-1+deb12u1', '1.0-2', '1.0a-1', '1.0+dfsg-1', '1.0.1-1', '1.2', '1.10', '10', '1:0.1'],
  rpm: ['0.9', '1.0~rc1', '1.0~rc1^git', '1.0', '1.0^20240101', '1.0.a', '1.0.1', '1.9-1.el9', '1.9-1.el9_1', '1.9-2.el9', '1.10', '2.0', '1:0.1'],
  apk: ['1.2_alpha1', '1.2_beta', '1.2_rc2', '1.2', '1.2-r0', '1.2-r1', '1.2-r10', '1.2_p1', '1.2.1', '1.10'],
}; // prettier-ignore

const sign = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0);

describe.each(Object.entries(ascending) as [PackageKind, string[]][])('versions of %s', (kind, versions) => {
  it('have keys that sort as they do', () => {
    const keyed = versions.map((version) => ({ version, key: versionKey(kind, version)! }));
    expect(keyed.every(({ key }) => /^[\x20-\x7e]+$/.test(key))).toBe(true);
    // Byte by byte, as Postgres sorts with collation "C".
    keyed.sort((a, b) => sign(a.key, b.key));
    expect(keyed.map(({ version }) => version)).toEqual(versions);
  });
});

describe.each<[PackageKind, (one: string, other: string) => number]>([
  ['collection', semver.compare],
  ['python', compare],
])('keys of %s', (kind, compareByLibrary) => {
  it('compare as its library compares', () => {
    for (const one of ascending[kind])
      for (const other of ascending[kind])
        expect(sign(versionKey(kind, one)!, versionKey(kind, other)!), `${one} and ${other}`).toBe(
          Math.sign(compareByLibrary(one, other)),
        );
  });
});

describe('a version', () => {
  it.each<[PackageKind, string, string]>([
    ['python', '1.0', '1.0.0'],
    ['collection', '1.0.0+build1', '1.0.0+build2'],
    ['dpkg', '1.0', '1.0-0'],
    ['dpkg', '0:1.01', '1.1'],
    ['rpm', '1.0', '1_0'],
  ])('of %s: %s is %s', (kind, one, other) => expect(versionKey(kind, one)).toBe(versionKey(kind, other)));

  it('that is none of its kind has no key', () => {
    expect(versionKey('collection', 'unknown')).toBeNull();
    expect(versionKey('python', '1.0-dirty~')).toBeNull();
    expect(versionKey('dpkg', '1\u0000')).toBeNull();
  });
});

describe('comparisons', () => {
  it('are joined by commas, and cut versions of collections are filled up', () => {
    expect(readComparisons('collection', '>=7, <8')).toEqual([
      { operator: '>=', key: versionKey('collection', '7.0.0') },
      { operator: '<', key: versionKey('collection', '8.0.0') },
    ]);
    expect(readComparisons('python', '2.1')).toEqual([{ operator: '=', key: versionKey('python', '2.1') }]);
  });
  it('that are none are quoted', () => {
    expect(() => readComparisons('collection', '>=7, ~>8')).toThrow('"~>8" is no comparison');
    expect(readComparisons('collection', '< x')).toBeNull();
  });
});
