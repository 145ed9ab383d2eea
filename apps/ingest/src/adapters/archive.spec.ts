import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ARCHIVE_URL, openArchive, readCredentials } from './archive.js';

const access = { region: 'eu-central-1', pathStyle: false };
const keys = { accessKeyId: 'id', secretAccessKey: 'never-shown' };

describe('the URL of an archive', () => {
  it.each(['file:///var/lib/archive', 's3://records', 's3://records/gantry/one'])('%s is one', (url) =>
    expect(ARCHIVE_URL.test(url)).toBe(true),
  );
  it.each(['/var/lib/archive', 'file://host/x', 's3://', 's3://UPPER', 'https://records', 's3://records/ä'])(
    '%s is none',
    (url) => expect(ARCHIVE_URL.test(url)).toBe(false),
  );
  it('opens what it names', () => {
    expect(openArchive('file:///var/lib/archive', access).locate('a/b.tar')).toBe(
      'file:///var/lib/archive/a/b.tar',
    );
    expect(openArchive('s3://records/gantry/', { ...access, ...keys }).locate('a/b.tar')).toBe(
      's3://records/gantry/a/b.tar',
    );
    expect(openArchive('s3://records', { ...access, ...keys }).location).toBe('s3://records');
  });
  it('needs credentials in S3, and authorities that can be read', () => {
    expect(() => openArchive('s3://records', access)).toThrow(/needs credentials/);
    expect(() => openArchive('s3://records', { ...access, ...keys, caFile: '/nowhere.pem' })).toThrow(
      /nowhere\.pem/,
    );
  });
});

describe('a credentials file', () => {
  it('is AWS’s own format', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'gantry-credentials-'));
    const file = join(folder, 'credentials');
    await writeFile(
      file,
      '[other]\naws_access_key_id = no\n\n[default]\naws_access_key_id = AK\r\naws_secret_access_key=a/b+c=\n',
    );
    expect(await readCredentials(file)).toEqual({ accessKeyId: 'AK', secretAccessKey: 'a/b+c=' });
    await writeFile(file, '[default]\naws_secret_access_key=never-shown\n');
    const error = await readCredentials(file).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ code: 'refused', message: expect.stringContaining(file) });
    expect(String(error)).not.toContain('never-shown');
    await expect(readCredentials(join(folder, 'missing'))).rejects.toMatchObject({ code: 'refused' });
    await rm(folder, { recursive: true });
  });
});
