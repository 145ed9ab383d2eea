import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Definition } from './load.js';
import { demandSameDefinition, differences, lockFiles, readLock, writeLock, type Lock } from './lock.js';

const work = mkdtempSync(join(tmpdir(), 'gantry-lock-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const hash = (digit: string): string => digit.repeat(64);
const lock: Lock = {
  version: 1,
  definition: { sha256: hash('a'), parts: { version: hash('1'), 'options.user': hash('2') } },
  base: { name: 'registry.example/base:1', digest: `sha256:${hash('b')}`, local: false },
  platform: 'linux/amd64',
  system: {
    manager: 'dpkg',
    packages: [
      { name: 'jq', version: '1.7.1-6', architecture: 'amd64', sha256: hash('c') },
      { name: 'git', version: '1:2.47', architecture: 'amd64' },
    ],
  },
  python: [
    { name: 'six', version: '1.16', sha256: hash('d'), layer: 'final' },
    { name: 'loose', version: '1', layer: 'step' },
  ],
  collections: [{ name: 'demo.tools', version: '1.0.0', sha256: hash('e'), contents: hash('f') }],
  roles: [],
  tools: { python: '3.13.5' },
};

describe('a lock file', () => {
  it('is read as it was written, a package a line', () => {
    const file = join(work, 'one.lock.yml');
    expect(readLock(file)).toBeNull();
    writeLock(file, lock);
    expect(readLock(file)).toEqual(lock);
    expect(readFileSync(file, 'utf8')).toContain(
      `    - {name: jq, version: 1.7.1-6, architecture: amd64, sha256: ${hash('c')}}\n`,
    );
  });

  it('that somebody has spoilt is refused by the place', () => {
    const file = join(work, 'spoilt.lock.yml');
    writeLock(file, lock);
    writeFileSync(file, readFileSync(file, 'utf8').replace(hash('c'), 'short').replace('linux/amd64', '[]'));
    expect(() => readLock(file)).toThrow(
      /system\.packages\[0\]\.sha256: write 64 hexadecimal digits\n {2}platform: /,
    );
  });

  it('of another definition is refused, with the parts that differ', () => {
    const parts = { version: hash('1'), 'options.user': hash('3'), 'file a': hash('4') };
    expect(() => demandSameDefinition(lock, { parts } as unknown as Definition, 'x.lock.yml')).toThrow(
      'x.lock.yml locks another definition:\n  file a is new\n  options.user has changed\n',
    );
    expect(() =>
      demandSameDefinition(lock, { parts: lock.definition.parts } as unknown as Definition, 'x'),
    ).not.toThrow();
  });

  it('tells what differs between two builds', () => {
    expect(
      differences(lock, {
        ...lock,
        system: { manager: 'dpkg', packages: [{ ...lock.system.packages[0]!, version: '2' }] },
        python: [...lock.python, { name: 'new', version: '3', layer: 'final' }],
      }),
    ).toEqual([
      'Python package new: new, 3',
      'system package git:amd64: gone, was 1:2.47',
      'system package jq:amd64: 1.7.1-6 -> 2',
    ]);
    expect(differences(lock, { ...lock, tools: {} })).toEqual([]);
  });

  it('speaks to the tools in the build in their own words', () => {
    const files = lockFiles(lock);
    expect(files['packages']).toBe(`git\tamd64\t1:2.47\t\njq\tamd64\t1.7.1-6\t${hash('c')}\n`);
    expect(files['preferences']).toContain('Package: jq\nPin: version 1.7.1-6\nPin-Priority: 1001\n');
    expect(JSON.parse(files['python.json']!)).toEqual([lock.python[0]]);
  });
});
