import { describe, expect, it } from 'vitest';
import { atLeast, parseOsRelease, versionOf } from './system.mjs';

describe('a version', () => {
  it('is found in what programs print', () => {
    expect(versionOf('nats-server: v2.10.27')).toEqual([2, 10, 27]);
    expect(versionOf('podman version 4.3.1')).toEqual([4, 3, 1]);
    expect(versionOf('2.9.10-1+b3')).toEqual([2, 9, 10]);
    expect(versionOf('no version here')).toEqual([]);
  });

  it.each([
    ['2.10.27', '2.10', true],
    ['2.10.0', '2.10', true],
    ['2.9.10', '2.10', false],
    ['3.0.0', '2.10', true],
    ['20.19.0', '20.19', true],
    ['20.9.0', '20.19', false],
    ['v24', '20.19', true],
    ['', '2.10', false],
  ])('%s is at least %s: %s', (found, wanted, expected) => {
    expect(atLeast(found, wanted)).toBe(expected);
  });
});

describe('the text of os-release', () => {
  it('tells a distribution, with or without quotes', () => {
    const text =
      'PRETTY_NAME="Ubuntu 24.04 LTS"\nID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=\'noble\'\n# remark\n';
    expect(parseOsRelease(text)).toEqual({
      id: 'ubuntu',
      like: ['debian'],
      codename: 'noble',
      name: 'Ubuntu 24.04 LTS',
    });
  });

  it('may lack everything', () => {
    expect(parseOsRelease('')).toMatchObject({ id: 'unknown', like: [], codename: '' });
  });
});
