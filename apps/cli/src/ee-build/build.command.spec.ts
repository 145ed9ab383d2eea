import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { buildEnvironment, type BuildOptions } from './build.command.js';

const work = mkdtempSync(join(tmpdir(), 'gantry-build-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

describe('what cannot be right is said before anything is built', () => {
  writeFileSync(
    join(work, 'execution-environment.yml'),
    'version: 3\nimages: {base_image: {name: registry.example/base:1}}\n',
  );
  const build = (options: BuildOptions, file = work) => buildEnvironment(file, options, () => undefined);

  it.each<[string, BuildOptions, string]>([
    [
      'a name in upper case',
      { tag: ['registry.example/Team/ee:1'] },
      'The name "registry.example/Team/ee:1"',
    ],
    ['a name with a digest', { tag: ['a@sha256:00'] }, 'without a digest'],
    [
      'an address with a user',
      { indexUrl: 'http://me:secret@pypi.example/' },
      '--index-url: give an address without',
    ],
    ['a push without a registry', { push: true }, '--push needs a --tag'],
    ['a registration without a push', { register: 'x' }, 'add --push'],
    ['an organization without a registration', { organization: 'x' }, 'add --register NAME'],
    ['a user without a password', { username: 'x' }, '--username and --password-stdin go together'],
    ['a lock that is not there', { fromLock: true }, 'there is no'],
  ])('%s', async (_what, options, message) => {
    const error = await build(options).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'invalid', message: expect.stringContaining(message) });
    expect((error as Error).message).not.toContain('secret');
  });

  it('a folder without a definition', async () => {
    await expect(build({}, tmpdir())).rejects.toThrow('There is no execution-environment.yml in');
    await expect(build({}, join(work, 'none.yml'))).rejects.toThrow('none.yml cannot be read (ENOENT)');
  });
});
