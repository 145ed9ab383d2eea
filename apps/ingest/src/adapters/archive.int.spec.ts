/** One suite for every archive; what the S3 server is, and is not, stands in src/testing/s3-server.ts. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Archive, ArchiveFile } from '../retention.port.js';
import { createFileArchive } from './archive-files.js';
import { createS3Archive, type S3Settings } from './archive-s3.js';
import { startS3, type TestS3 } from '../testing/s3-server.js';

let home: string;
let plain: TestS3;
let tls: TestS3;
let ca: string;

const s3 = ({ endpoint, region, bucket, keys }: TestS3, more: Partial<S3Settings> = {}): Archive =>
  createS3Archive({
    endpoint,
    region,
    bucket,
    prefix: 'gantry',
    pathStyle: true,
    credentials: async () => keys,
    ...more,
  });
const fileOf = async (bytes: Buffer): Promise<ArchiveFile> => {
  const path = join(home, `file-${randomBytes(4).toString('hex')}`);
  await writeFile(path, bytes);
  return { path, sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
};
const bytesOf = async (stream: Readable | null): Promise<Buffer | null> => {
  if (!stream) return null;
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
};

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'gantry-archive-'));
  const [key, certificate] = [join(home, 'key.pem'), join(home, 'certificate.pem')];
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=archive',
    ].concat(['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', certificate]),
    { stdio: 'ignore' },
  );
  ca = readFileSync(certificate, 'utf8');
  plain = await startS3(join(home, 's3'));
  tls = await startS3(join(home, 's3-tls'), { key: readFileSync(key, 'utf8'), cert: ca });
});
afterAll(async () => {
  await Promise.all([plain?.stop(), tls?.stop()]);
  await rm(home, { recursive: true, force: true });
});

const archives: [string, () => Archive][] = [
  ['a folder', () => createFileArchive(join(home, 'folder'))],
  ['an S3 bucket', () => s3(plain)],
  ['an S3 bucket behind TLS', () => s3(tls, { ca })],
];

describe.each(archives)('%s', (_, make) => {
  it('gives back what was put, byte for byte', async () => {
    const archive = make();
    for (const size of [0, 1, 3 * 1024 * 1024 + 7]) {
      const bytes = randomBytes(size);
      await archive.put(`2026/03/01/size-${size}.tar`, await fileOf(bytes));
      expect((await bytesOf(await archive.get(`2026/03/01/size-${size}.tar`)))?.equals(bytes)).toBe(true);
    }
  });
  it('knows what it has not', async () => {
    expect(await make().get('2026/03/01/nothing.tar')).toBe(null);
  });
  it('replaces a name, and may be given the same again', async () => {
    const archive = make();
    const [first, second] = [await fileOf(Buffer.from('first')), await fileOf(Buffer.from('second'))];
    for (const file of [first, second, second]) await archive.put('again.tar', file);
    expect((await bytesOf(await archive.get('again.tar')))?.toString()).toBe('second');
  });
  it('says where a name lies', () => {
    const archive = make();
    expect(archive.locate('a/b.tar')).toBe(`${archive.location}/a/b.tar`);
  });
});

describe('a folder', () => {
  it('shows no half of a file, and removes what a put that was killed left', async () => {
    const archive = createFileArchive(join(home, 'halves'));
    await mkdir(join(home, 'halves'), { recursive: true });
    await writeFile(join(home, 'halves', 'job.tar.partial-0a'), 'half');
    expect(await archive.get('job.tar')).toBe(null);
    await archive.put('job.tar', await fileOf(Buffer.from('whole')));
    expect(await readdir(join(home, 'halves'))).toEqual(['job.tar']);
  });
  it('says why it does not take a file', async () => {
    await writeFile(join(home, 'in-the-way'), '');
    const archive = createFileArchive(join(home, 'in-the-way'));
    await expect(archive.put('a.tar', await fileOf(Buffer.from('x')))).rejects.toMatchObject({
      code: expect.stringMatching(/refused|unavailable/),
      message: expect.stringContaining('in-the-way'),
    });
  });
});

describe('an S3 bucket', () => {
  const file = () => fileOf(Buffer.from('x'));
  it('refuses keys that are wrong, with the server’s words and without ours', async () => {
    const wrong = s3(plain, {
      credentials: async () => ({ ...plain.keys, secretAccessKey: 'wrong-secret' }),
    });
    const error = await wrong.put('a.tar', await file()).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ code: 'refused', details: { code: 'SignatureDoesNotMatch', status: 403 } });
    expect(JSON.stringify([(error as Error).message, error])).not.toContain('wrong-secret');
    await expect(wrong.get('a.tar')).rejects.toMatchObject({ code: 'refused' });
  });
  it('refuses bytes that are not those that were hashed', async () => {
    const bytes = await file();
    await writeFile(bytes.path, 'y');
    await expect(s3(plain).put('a.tar', bytes)).rejects.toMatchObject({
      code: 'refused',
      details: { code: 'XAmzContentSHA256Mismatch' },
    });
  });
  it('refuses a bucket that is not there', async () => {
    const other = s3(plain, { bucket: 'nowhere' });
    await expect(other.put('a.tar', await file())).rejects.toMatchObject({
      code: 'refused',
      details: { code: 'NoSuchBucket' },
    });
    await expect(other.get('a.tar')).rejects.toMatchObject({
      code: 'refused',
      details: { code: 'NoSuchBucket' },
    });
  });
  it('is unavailable when nobody listens, or when its certificate is not trusted', async () => {
    await expect(
      s3(plain, { endpoint: 'http://127.0.0.1:1' }).put('a.tar', await file()),
    ).rejects.toMatchObject({
      code: 'unavailable',
    });
    await expect(s3(tls).get('a.tar')).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('self-signed'),
    });
  });
});
