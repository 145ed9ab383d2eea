import { describe, expect, it } from 'vitest';
import { createWatched } from './watched.js';

describe('a pod', () => {
  let time = 1_000;
  const watched = createWatched({ watched: 80, unwatched: 400 }, () => time);

  it('takes its time while nobody watches', () => {
    expect(watched.flushMilliseconds('a')).toBe(400);
  });

  it('hurries for whoever does, and for a while after they were last heard of', () => {
    watched.heard(['a', 'b']);
    expect(['a', 'b', 'c'].map(watched.flushMilliseconds)).toEqual([80, 80, 400]);
    time += 14_000;
    watched.heard(['b']);
    time += 2_000;
    expect(['a', 'b'].map(watched.flushMilliseconds)).toEqual([400, 80]);
    watched.heard(['c']);
    expect(['a', 'b', 'c'].map(watched.flushMilliseconds)).toEqual([400, 80, 80]);
  });
});
