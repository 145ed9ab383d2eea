import { describe, expect, it } from 'vitest';
import { OutputSearch, type FindMatches } from './output-search.js';

/** A server with these matching lines that gives two at a time and looks through a hundred lines at a time. */
const serverOf = (matching: number[], total: { lines: number }) => {
  const asked: string[] = [];
  const find: FindMatches = async (fromLine, backwards) => {
    asked.push(`${backwards ? 'above' : 'from'} ${fromLine}`);
    const [from, to] = backwards
      ? [Math.max(0, fromLine - 100), fromLine]
      : [fromLine, Math.min(total.lines, fromLine + 100)];
    const inside = matching.filter((line) => line >= from && line < to);
    const given = backwards ? inside.slice(-2) : inside.slice(0, 2);
    const cut = given.length < inside.length;
    const searchedLine = cut ? (backwards ? given[0]! : given.at(-1)! + 1) : backwards ? from : to;
    return {
      nodes: given.map((line) => ({ line, text: `line ${line}` })),
      searchedLine,
      complete: searchedLine === (backwards ? 0 : total.lines),
    };
  };
  return { asked, find };
};
const search = (start: number, matching: number[], lines = 1_000) => {
  const total = { lines };
  const { asked, find } = serverOf(matching, total);
  return { asked, total, search: new OutputSearch(start, find, () => undefined) };
};

describe('a search in the output', () => {
  it('begins where one looks, and counts what little there is', async () => {
    const { search: few, asked } = search(50, [20, 60], 90);
    expect(await few.begin()).toBe(60);
    expect([...few.lines, few.allKnown]).toEqual([20, 60, true]);
    expect(asked).toEqual(['from 50', 'above 50']);
  });

  it('takes the last match above if there is none below', async () => {
    const { search: above } = search(950, [10, 20, 30]);
    expect(await above.begin()).toBe(30);
    expect(above.allKnown).toBe(false);
  });

  it('says that nothing matches', async () => {
    const { search: none } = search(500, []);
    expect(await none.begin()).toBeNull();
    expect(none.allKnown).toBe(true);
    expect(await none.step(500, 1, 1_000)).toBeNull();
  });

  it('goes on past what it knows, and round at the ends', async () => {
    const { search: many } = search(500, [5, 505, 510, 515, 990]);
    const seen = [await many.begin()];
    for (let step = 0; step < 5; step++) seen.push(await many.step(seen.at(-1)!, 1, 1_000));
    expect(seen).toEqual([505, 510, 515, 990, 5, 505]);
    expect(await many.step(5, -1, 1_000)).toBe(990);
    expect(await many.step(990, -1, 1_000)).toBe(515);
  });

  it('does not search all the way to where somebody went meanwhile', async () => {
    const { search: many, asked } = search(0, [1, 2, 3, 700, 800, 801], 100_000);
    await many.begin();
    expect(await many.step(699, 1, 100_000)).toBe(700);
    expect(await many.step(800, -1, 100_000)).toBe(700);
    expect(asked).toEqual(['from 0', 'from 700']);
  });

  it('takes steps that come at once one after another', async () => {
    const { search: many } = search(0, [1, 2, 3, 4, 5]);
    const [first, second] = [many.begin(), many.step(2, 1, 1_000)];
    expect([await first, await second]).toEqual([1, 3]);
    expect(many.lines).toEqual([1, 2, 3, 4]);
  });

  it('goes on as the job prints more', async () => {
    const { search: live, total } = search(0, [10, 95, 130], 90);
    await live.begin();
    expect(live.lines).toEqual([10]);
    total.lines = 140;
    live.grown(140);
    expect(await live.step(95, 1, 140)).toBe(130);
  });

  it('says when a request failed, and asks again', async () => {
    const { find } = serverOf([7], { lines: 90 });
    let away = true;
    const flaky = new OutputSearch(
      0,
      (...asked) => (away ? Promise.reject(new Error('away')) : find(...asked)),
      () => undefined,
    );
    await expect(flaky.begin()).rejects.toThrow('away');
    expect(flaky.failed).toBe(true);
    away = false;
    expect(await flaky.step(null, 1, 90)).toBe(7);
    expect(flaky.failed).toBe(false);
  });
});
