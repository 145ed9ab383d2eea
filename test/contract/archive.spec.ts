/** The archive's format is for ever, and docs/RECORD.md says all of it: a verifier written from it agrees with ours. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const fixture = join(import.meta.dirname, '../../apps/cli/src/archive/fixtures/job.v1.tar');
const original = readFileSync(fixture);
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'archive-contract-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const secondOpinion = (file: string): { code: number | null; says: string } => {
  const done = spawnSync('python3', [join(import.meta.dirname, 'verify_archive.py'), file], { encoding: 'utf8' });
  return { code: done.status, says: done.stdout.trim() || done.stderr };
}; // prettier-ignore

describe('an archive of format 1', () => {
  it('is intact by a verifier that shares nothing with ours', () => {
    expect(secondOpinion(fixture)).toEqual({ code: 0, says: 'intact' });
  });

  it('is damaged by it, wherever a byte is flipped', () => {
    const copy = join(folder, 'flipped.tar');
    for (let at = 7; at < original.length; at += 409) {
      const bytes = Buffer.from(original);
      bytes[at]! ^= 2;
      writeFileSync(copy, bytes);
      expect(secondOpinion(copy), `byte ${at}`).toMatchObject({ code: 1 });
    }
  });
});
