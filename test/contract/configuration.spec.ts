/** docs/CONFIGURATION.md tells of every variable that a service reads, and of none that is gone. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { serviceNames } from '@gantry/contracts/command';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const documented = new Set(
  readFileSync(join(root, 'docs/CONFIGURATION.md'), 'utf8').match(/\bGANTRY_[A-Z_]+[A-Z]\b/g),
);

describe('docs/CONFIGURATION.md', () => {
  it.each(serviceNames)('has every variable of %s, and no other of its name', (service) => {
    const source = readFileSync(join(root, 'apps', service, 'src/config.ts'), 'utf8');
    const own = (names: Iterable<string>) =>
      [...new Set(names)].filter((name) => name.startsWith(`GANTRY_${service.toUpperCase()}_`)).sort();
    expect(own(documented)).toEqual(own(source.match(/\bGANTRY_[A-Z_]+[A-Z]\b/g) ?? []));
  });
});
