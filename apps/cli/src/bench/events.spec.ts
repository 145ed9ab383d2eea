import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { createEventSource } from './events.js';

const take = (count: number, seed = 1) => {
  const source = createEventSource(seed, '0199d5a0-0000-7000-8000-000000000001', 10, () => 1_790_000_000_000);
  return Array.from({ length: count }, () => source.next());
};

describe('events of the bench', () => {
  it('are numbered without a hole, and so are their lines', () => {
    let line = 0;
    take(700).forEach(({ json, lines }, index) => {
      const event = JSON.parse(json) as Record<string, number>;
      expect(event['counter']).toBe(index + 1);
      expect([event['start_line'], event['end_line']]).toEqual([line, line + lines]);
      line += lines;
    });
  });
  it('have the size of real ones, and do not compress better than those do', () => {
    const raw = Buffer.from(
      take(2_000)
        .map(({ json }) => `${json}\n`)
        .join(''),
    );
    expect(raw.length / 2_000).toBeGreaterThan(1_000);
    expect(raw.length / 2_000).toBeLessThan(1_450);
    // The recorded job came to 14.7 in batches of 200, 12.2 in batches of 30.
    const batch = Buffer.from(raw.subarray(0, raw.length / 10));
    expect(batch.length / gzipSync(batch, { level: 1 }).length).toBeLessThan(14.7);
  });
  it('are the same for the same seed, others for another', () => {
    expect(take(300)).toEqual(take(300));
    expect(take(300)).not.toEqual(take(300, 2));
  });
});
