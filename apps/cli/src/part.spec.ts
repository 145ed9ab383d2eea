import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lastWords } from './part.js';

describe('the last words of a part', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'gantry-part-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const log = (...lines: string[]): string => {
    const file = join(folder, 'part.log');
    writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
    return file;
  };

  it('are what was fatal, whatever else was said on the way out', () => {
    const fatal = JSON.stringify({
      level: 'fatal',
      msg: 'ingest cannot start',
      err: { message: 'fsync is off' },
    });
    expect(lastWords(log('{"level":"info"}', fatal, '{"level":"info","msg":"shutting down"}'))).toBe(
      'ingest cannot start: fsync is off',
    );
  });

  it('are its last lines when nothing was', () => {
    const lines = ['1', '2', '3', '4', '5', 'could not bind'];
    expect(lastWords(log(...lines))).toBe(lines.slice(1).join('\n   '));
  });
});
