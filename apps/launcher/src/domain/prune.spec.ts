import { describe, expect, it } from 'vitest';
import { mayGo } from './prune.js';

const now = Date.parse('2026-02-01T00:00:00Z');
const image = (digest: string, lastUsedAt: string, repository = 'r/ee') => ({
  repository,
  digest,
  sizeBytes: 1,
  lastUsedAt,
});
const old = '2026-01-01T00:00:00Z';
const nothing = { current: [], jobs: [] };
const digestsOf = (images: { digest: string }[]): string[] => images.map(({ digest }) => digest);

describe('a clean-up', () => {
  it('lets go what nobody has used for so many days', () => {
    const images = [image('a', old), image('b', '2026-01-31T00:00:00Z')];
    expect(digestsOf(mayGo(images, nothing, 14, now))).toEqual(['a']);
    expect(digestsOf(mayGo(images, nothing, 60, now))).toEqual([]);
    expect(digestsOf(mayGo(images, nothing, 0, now))).toEqual(['a', 'b']);
  });

  it('keeps what an execution environment means, and what a job that is not over needs', () => {
    const images = [image('a', old), image('b', old), image('c', old)];
    const needed = { current: [{ repository: 'r/ee', digest: 'a' }], jobs: ['b'] };
    expect(digestsOf(mayGo(images, needed, 0, now))).toEqual(['c']);
  });

  it('keeps every image of a repository of which only the engine knows what is meant', () => {
    const images = [image('a', old), image('b', old, 'r/other')];
    const needed = { current: [{ repository: 'r/ee', digest: null }], jobs: [] };
    expect(digestsOf(mayGo(images, needed, 0, now))).toEqual(['b']);
  });
});
