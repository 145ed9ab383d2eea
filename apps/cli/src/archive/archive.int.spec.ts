/** On the archive of a real job (fixtures/job.v1.tar, as version 1 wrote it): whatever is changed in the file is named. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Finding } from '@gantry/contracts/proof';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventsOf, openArchive, type ArchiveEntry } from './archive.js';
import { checkArchive } from './check-archive.js';

const fixture = join(import.meta.dirname, 'fixtures/job.v1.tar');
const original = readFileSync(fixture);
let folder: string;
let copy: string;
let file: FileHandle;
let entries: ArchiveEntry[];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'archive-'));
  copy = join(folder, 'job.tar');
  copyFileSync(fixture, copy);
  file = await open(copy, 'r+');
  const archive = await openArchive(fixture);
  ({ entries } = archive);
  await archive.close();
});
afterAll(async () => {
  await file?.close();
  rmSync(folder, { recursive: true, force: true });
});

const check = async (path: string): Promise<Finding[]> => {
  const archive = await openArchive(path);
  try {
    return (await checkArchive(archive)).findings;
  } finally {
    await archive.close();
  }
};

/** Where a byte lies, and whether a finding speaks of that place. */
const placeOf = (at: number): { name: string; names(finding: Finding): boolean } => {
  const entry = entries.find(({ from, header, next }) => at >= from - header.length && at < next);
  if (!entry) return { name: 'the end', names: ({ column }) => column === 'the end of the archive' };
  const { name, from, sizeBytes } = entry;
  if (at < from) return { name: `header of ${name}`, names: ({ column }) => column === `the tar header of ${name}` };
  if (at >= from + sizeBytes)
    return { name: `padding of ${name}`, names: ({ column }) => column?.startsWith('the padding after') ?? false };
  const named: Record<string, (finding: Finding) => boolean> = {
    'job.ndjson': ({ part }) => part === 'job_stream',
    'record.ndjson': ({ part }) => part === 'record_stream',
  };
  const isChunk = name.startsWith('chunks/');
  return {
    name,
    names: (finding) =>
      finding.column === name ||
      Boolean(named[name]?.(finding)) ||
      (isChunk && finding.part === 'chunk' && finding.column === 'payload' && finding.firstCounter === Number(name.slice(7, 17))),
  };
}; // prettier-ignore

describe('an archive that nobody touched', () => {
  it('is intact, and says how it was sealed', async () => {
    const archive = await openArchive(fixture);
    const report = await checkArchive(archive);
    await archive.close();
    expect(report).toMatchObject({
      findings: [],
      events: 2,
      gaps: 0,
      seal: { status: 'failed', lastCounter: 2 },
    });
  });

  it('gives its events as they were printed', async () => {
    const archive = await openArchive(fixture);
    const events = [];
    for (const { file: name } of archive.manifest!.chunks)
      events.push(...(await eventsOf(await archive.read(archive.entry(name)!))));
    await archive.close();
    expect(events.map(({ counter, stdout }) => [counter, stdout.includes('Could not match')])).toEqual([
      [1, true],
      [2, false],
    ]);
  });
});

describe('one flipped byte', () => {
  it('is named, wherever it lies in the file', async () => {
    const unnoticed: string[] = [];
    // Every fifth: all of them take a minute or two, and were gone through when the format was made.
    for (let at = 0; at < original.length; at += 5) {
      const flipped = Buffer.from([original[at]! ^ (1 << (at % 8))]);
      await file.write(flipped, 0, 1, at);
      const findings = await check(copy);
      const place = placeOf(at);
      if (!findings.some((finding) => place.names(finding)))
        unnoticed.push(`byte ${at} (${place.name}): ${findings.map(({ message }) => message).join(' | ')}`);
      await file.write(original, at, 1, at);
    }
    expect(unnoticed).toEqual([]);
  }, 300_000);
});

describe('a file that was cut, or grew', () => {
  it('is named wherever it ends', async () => {
    const cut = join(folder, 'cut.tar');
    for (const length of [original.length - 1, original.length - 1024, original.length - 3_000, 9_000]) {
      writeFileSync(cut, original);
      truncateSync(cut, length);
      expect((await check(cut)).length, `cut to ${length}`).toBeGreaterThan(0);
    }
    writeFileSync(cut, Buffer.concat([original, Buffer.from('x')]));
    expect((await check(cut)).length).toBeGreaterThan(0);
    writeFileSync(cut, Buffer.concat([original, Buffer.alloc(512)]));
    expect((await check(cut)).length).toBeGreaterThan(0);
  });

  it('is refused when it is no archive at all', async () => {
    const other = join(folder, 'other.tar');
    writeFileSync(other, 'not a tar');
    await expect(openArchive(other)).rejects.toMatchObject({ code: 'invalid' });
    writeFileSync(other, '');
    await expect(openArchive(other)).rejects.toMatchObject({ code: 'invalid' });
    await expect(openArchive(join(folder, 'nothing'))).rejects.toMatchObject({ code: 'not_found' });
  });
});
