/** What collections need, as scripts/needs.py reads it: with Python itself. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

const work = mkdtempSync(join(tmpdir(), 'gantry-needs-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** Runs a line of Python that prints JSON, on a Debian 13. */
const python = (line: string): unknown => {
  const code = [
    'import json, needs',
    'needs.platforms = lambda: {"platform:debian", "platform:debian-13", "platform:dpkg"}',
    `print(json.dumps(${line}))`,
  ].join('\n');
  return JSON.parse(
    execFileSync('python3', ['-B', '-c', code], {
      cwd: join(import.meta.dirname, 'scripts'),
      encoding: 'utf8',
    }),
  );
};
const names = (lines: string[], profiles = 'set()'): string[] =>
  (
    python(`needs.select(json.loads(${JSON.stringify(JSON.stringify(lines))}), ${profiles})`) as [string][]
  ).map(([name]) => name);

describe("bindep's lines", () => {
  it('count on their platform, and not on others', () => {
    expect(
      names([
        'a',
        'b [platform:dpkg]',
        'c [platform:rpm]',
        'd [platform:rpm platform:debian]',
        'e [!platform:debian]',
        'f [!platform:rpm]',
        'g [(platform:dpkg platform:debian-13)]',
        'h [(platform:dpkg platform:debian-12)]',
      ]),
    ).toEqual(['a', 'b', 'd', 'f', 'g']);
  });

  it('with a profile count when it is on', () => {
    const lines = [
      'a',
      'gcc [compile]',
      'b [!compile]',
      'g++ [compile platform:dpkg]',
      'rpm-gcc [compile platform:rpm]',
    ];
    expect(names(lines)).toEqual(['a', 'b']);
    expect(names(lines, '{"compile"}')).toEqual(['a', 'g++', 'gcc']);
  });

  it('may demand versions', () => {
    expect(python('needs.select(["git [platform:dpkg] >=2,!=2.3", "git <9"], set())')).toEqual([
      [
        'git',
        [
          ['>=', '2'],
          ['!=', '2.3'],
          ['<', '9'],
        ],
      ],
    ]);
  });
});

describe('what collections need', () => {
  it('is in their files, without Ansible, tests and what the definition excludes', () => {
    const files = {
      'a/one/requirements.txt': 'six>=1 # why\nansible-core>=2\npytest\n-r more.txt\n--index-url x\n',
      'a/one/more.txt': 'Requests_Lib\n',
      'a/one/bindep.txt': 'git [platform:dpkg]\nold-tool\n',
      'b/three/requirements.txt': 'never\n',
    };
    for (const [name, text] of Object.entries(files)) {
      const file = join(work, 'ansible_collections', name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
    const exclude = { python: ['~requests.*'], system: ['old-tool'], all_from_collections: ['b.three'] };
    writeFileSync(join(work, 'exclude.json'), JSON.stringify(exclude));
    expect(
      python(
        `needs.collection_needs(${JSON.stringify(work)}, json.load(open(${JSON.stringify(join(work, 'exclude.json'))})))`,
      ),
    ).toEqual([['six>=1'], ['git [platform:dpkg]']]);
  });
});
