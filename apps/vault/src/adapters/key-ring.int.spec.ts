import { chmod, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadKeyRing, parseKeyRing } from './key-ring.js';

const line = (id: string, byte: number): string => `${id} ${Buffer.alloc(32, byte).toString('base64')}`;
let directory: string;
let file: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gantry-keys-'));
  file = join(directory, 'vault.key');
});
afterEach(() => rm(directory, { recursive: true }));

describe('the key file', () => {
  it('is made on the first start, for its owner alone, and read on the next', async () => {
    const made = await loadKeyRing(file, []);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(directory)).toEqual(['vault.key']);
    expect((await loadKeyRing(file, [made.current.id])).current).toEqual(made.current);
  });

  it('is one, also when several vaults start at once', async () => {
    const rings = await Promise.all(Array.from({ length: 8 }, () => loadKeyRing(file, [])));
    expect(new Set(rings.map((ring) => ring.current.id)).size).toBe(1);
  });

  it('encrypts under its first key and still opens under the others', async () => {
    await writeFile(file, `# rotated\n${line('new', 2)}\n\n${line('old', 1)}\n`, { mode: 0o600 });
    const ring = await loadKeyRing(file, ['old']);
    expect(ring.current.id).toBe('new');
    expect(ring.find('old')).toEqual(Buffer.alloc(32, 1));
  });

  it('is not made anew when something is encrypted under a lost one', async () => {
    await expect(loadKeyRing(file, ['k1'])).rejects.toMatchObject({
      code: 'unavailable',
      details: { reason: 'key_missing' },
    });
    await expect(readFile(file)).rejects.toMatchObject({ code: 'ENOENT' });
    await writeFile(file, line('k2', 1), { mode: 0o600 });
    await expect(loadKeyRing(file, ['k1'])).rejects.toMatchObject({
      message: expect.stringContaining('key k1') as string,
    });
  });

  it('is refused when everybody may read it', async () => {
    await writeFile(file, line('k', 1));
    await chmod(file, 0o644);
    await expect(loadKeyRing(file, [])).rejects.toMatchObject({ code: 'invalid' });
  });

  it('says which line is wrong without quoting it', () => {
    const short = Buffer.alloc(31, 7).toString('base64');
    const attempts = [`${line('a', 1)}\nb ${short}`, `${line('a', 1)}\n${line('a', 2)}`, ''];
    const messages = attempts.map((text) => {
      try {
        parseKeyRing(text, 'vault.key');
        return 'accepted';
      } catch (error) {
        return (error as Error).message;
      }
    });
    expect(messages[0]).toContain('line 2');
    expect(messages[1]).toContain('repeats the key id a');
    expect(messages[2]).toContain('no key');
    expect(messages.join()).not.toContain(short.slice(0, 8));
  });
});
