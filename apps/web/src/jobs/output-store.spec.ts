import { describe, expect, it } from 'vitest';
import { BLOCK, linesOf, OutputStore } from './output-store.js';

const printed = (counter: number, startLine: number, stdout: string, failed = false) => ({
  counter,
  startLine,
  endLine: startLine + stdout.split('\n').length,
  stdout,
  failed,
});

describe('printed text', () => {
  it('becomes as many lines as its event says', () => {
    expect(linesOf('a\r\nb', 2)).toEqual(['a', 'b']);
    expect(linesOf('a\n', 1)).toEqual(['a']);
    expect(linesOf('', 2)).toEqual(['', '']);
  });
});

describe('the output store', () => {
  it('passes over events that it has', () => {
    const store = new OutputStore();
    store.take([printed(1, 0, 'one'), printed(2, 1, 'two')], 2);
    store.take([printed(2, 1, 'TWO'), printed(3, 2, 'three', true)], 3);
    expect([0, 1, 2].map((line) => store.line(line))).toEqual(['one', 'two', 'three']);
    expect(store.lastCounter).toBe(3);
    expect(store.failures).toEqual([2]);
  });

  it('goes on from events that printed nothing', () => {
    const store = new OutputStore();
    store.take([], 7);
    expect(store.lastCounter).toBe(7);
    expect(store.totalLines).toBe(0);
  });

  it('has the rest of an event that is too large asked for by its lines', () => {
    const store = new OutputStore();
    const stdout = 'one\ntwo\nthr\n[cut: 9000 characters, the record has them all]';
    store.take([{ ...printed(1, 0, stdout), endLine: 3_000 }], 1);
    expect([0, 1, 2, 3].map((line) => store.line(line))).toEqual(['one', 'two', undefined, undefined]);
    expect(store.totalLines).toBe(3_000);
    expect(store.missing(0, 10)).toEqual({ startLine: 0, endLine: BLOCK });
  });

  it('lets go of the oldest lines above its bound, and says that they are missing', () => {
    const store = new OutputStore(2 * BLOCK);
    for (let block = 0; block < 4; block++) {
      const text = Array.from({ length: BLOCK }, (_, line) => `${block}.${line}`).join('\n');
      store.take([printed(block + 1, block * BLOCK, text)], block + 1);
    }
    expect(store.totalLines).toBe(4 * BLOCK);
    expect(store.line(0)).toBeUndefined();
    expect(store.line(4 * BLOCK - 1)).toBe(`3.${BLOCK - 1}`);
    expect(store.missing(10, 20)).toEqual({ startLine: 0, endLine: BLOCK });
    expect(store.missing(3 * BLOCK, 4 * BLOCK)).toBeNull();
  });

  it('keeps the failures in order, each once', () => {
    const store = new OutputStore();
    for (const line of [5, 2, 9, 2, 5]) store.addFailure(line);
    expect(store.failures).toEqual([2, 5, 9]);
  });
});
