/** `./gantry bench` in its smallest size: that every case runs, counts nothing lost or twice, and prints what docs/BUDGETS.md says. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';

const keys = [
  'events',
  'seconds',
  'eventsPerSecond',
  'cpuSecondsPer1000Events',
  'bytesPerEvent',
  'p50Ms',
  'p99Ms',
  'maxMs',
  'rssMb',
  'lost',
  'duplicated',
];

describe('gantry bench', () => {
  const { root } = inject('world');

  it('prints an array of cases with the keys of the contract and no others, and leaves nothing behind', () => {
    const cases = [
      'start',
      'memory',
      'inventory',
      'chatty',
      'ingest',
      'storage',
      'live',
      'concurrent',
      'replicas',
      'cost',
      'read',
      'browser',
    ];
    const output = execFileSync(join(root, 'gantry'), ['bench', ...cases, '--size', 'tiny', '--json'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const reports = JSON.parse(output) as Record<string, unknown>[];
    const names = reports.map((report) => report['case'] as string);
    for (const name of cases)
      expect(
        names.some((each) => each.split('-')[0] === name),
        name,
      ).toBe(true);
    for (const { case: name, reference = {}, ratio, ...figures } of reports) {
      const own = { ...figures, ...(reference as object) };
      expect(keys, name as string).toEqual(expect.arrayContaining(Object.keys(own)));
      for (const value of Object.values(own)) expect(value, name as string).toEqual(expect.any(Number));
      expect(typeof ratio === 'number' || ratio === undefined).toBe(true);
      expect(figures['lost'] ?? 0, `${String(name)} lost`).toBe(0);
      expect(figures['duplicated'] ?? 0, `${String(name)} twice`).toBe(0);
    }
    const home = join(process.env['GANTRY_HOME'] ?? join(root, '.gantry'), 'bench');
    expect(existsSync(join(home, 'run', 'state.json'))).toBe(false);
  }, 600_000);

  it('refuses a case that there is not', () => {
    const run = () =>
      execFileSync(join(root, 'gantry'), ['bench', 'nonsense'], { encoding: 'utf8', stdio: 'pipe' });
    expect(run).toThrow(/There is no case nonsense/);
  });
});
