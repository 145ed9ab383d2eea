/** Every version of every event ever released can be read by this build (libs/contracts/fixtures; never edited, only added to). */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { catalogue } from '@gantry/contracts/catalogue';
import { parseEvent, type EventSpec } from '@gantry/contracts/envelope';
import { describe, expect, it } from 'vitest';

const folder = join(import.meta.dirname, '../../libs/contracts/fixtures');
const specs: EventSpec[] = Object.values(catalogue);

describe('recorded events', () => {
  it.each(readdirSync(folder))('%s parses to the current version', (file) => {
    const recorded = JSON.parse(readFileSync(join(folder, file), 'utf8')) as {
      type: string;
      version: number;
      data: unknown;
    };
    expect(file).toBe(`${recorded.type}.v${recorded.version}.json`);
    expect(parseEvent(catalogue as Record<string, EventSpec>, recorded)?.version).toBe(
      specs.find(({ type }) => type === recorded.type)?.version,
    );
  });

  it('exist for every version of every event type', () => {
    const files = readdirSync(folder);
    const wanted = specs.flatMap(({ type, version }) =>
      Array.from({ length: version }, (_, index) => `${type}.v${index + 1}.json`),
    );
    expect(files.sort()).toEqual(wanted.sort());
  });

  it('name each type once', () => {
    expect(new Set(specs.map(({ type }) => type)).size).toBe(specs.length);
  });
});
