import { ListJobEvents, SearchOutput } from '@gantry/contracts/record';
import { testPrincipal } from '@gantry/service/testing';
import { v7 as newId } from 'uuid';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Ingest } from './ingest.js';
import { ingestOver, startIngestWorld } from './testing/world.js';

const { ingest, pool, open, reader, stop } = await startIngestWorld();
/** The same, without time for a search. */
const hasty = ingestOver(pool, { searchMilliseconds: 0 });
afterAll(async () => {
  await hasty.stop();
  await stop();
});

const prints = (count: number): object[] =>
  Array.from({ length: count }, (_, index) => ({ stdout: `line ${index}` }));
const events = (input: object) => ingest.queries.events(ListJobEvents.input.parse(input), reader);

describe('a text in events', () => {
  it('is searched to its end at once, and page by page when there is no time', async () => {
    const long = newId();
    const pod = await open(long);
    for (let batch = 0; batch < 70; batch++)
      await pod.send(pod.cut(batch === 65 ? [{ stdout: 'the needle' }] : prints(2)));
    const filter = { text: 'NEEDLE' };
    expect(await events({ jobId: long, filter })).toMatchObject({
      events: [{ counter: 131 }],
      lastCounter: 139,
    });
    const hurried = (after: number) =>
      hasty.queries.events(ListJobEvents.input.parse({ jobId: long, filter, after }), reader);
    expect(await hurried(0)).toMatchObject({ events: [], lastCounter: 2, committedCounter: 139 });
    expect(await hurried(130)).toMatchObject({ events: [{ counter: 131 }], lastCounter: 131 });
  });

  it('has few results by the index looked through for a text, and many by the text', async () => {
    const long = newId();
    const pod = await open(long);
    const of = (host: string, stdout: string) => ({ event: 'runner_on_ok', stdout, event_data: { host } });
    for (let batch = 0; batch < 25; batch++) await pod.send(pod.cut([of('a', 'x'), of('b', 'y')]));
    await pod.send(pod.cut([of('a', 'needle'), of('b', 'needle')]));
    const filter = { text: 'needle', hosts: ['a'] };
    expect(await events({ jobId: long, filter })).toMatchObject({ events: [], lastCounter: 40 });
    expect(await events({ jobId: long, filter, after: 40 })).toMatchObject({
      events: [{ counter: 51 }],
      lastCounter: 52,
    });
    const many = Array.from({ length: 300 }, () => of('a', 'hay'));
    await pod.send(pod.cut([...many, of('b', 'needle'), of('a', 'needle')]));
    expect(await events({ jobId: long, filter, after: 51 })).toMatchObject({
      events: [{ counter: 354 }],
      lastCounter: 354,
    });
  });
});

describe('output that is searched', () => {
  const jobId = newId();
  const lines = async (input: object, by: Ingest = ingest) => {
    const found = await by.queries.search(
      SearchOutput.input.parse({ jobId, text: 'needle', ...input }),
      reader,
    );
    return { ...found, matches: found.matches.map(({ line }) => line) };
  };
  beforeAll(async () => {
    const pod = await open(jobId);
    for (let batch = 0; batch < 40; batch++) {
      const needle = { stdout: `a\r\nthe \u001b[1mNEE\u001b[0mdle\r\n${batch}` };
      await pod.send(pod.cut([...prints(2), ...(batch % 10 === 5 ? [needle, needle] : prints(6))]));
    }
  });

  it('says the lines, with what they say', async () => {
    expect(await lines({})).toEqual({
      matches: [43, 46, 123, 126, 203, 206, 283, 286],
      searchedLine: 320,
      complete: true,
    });
    const { matches } = await ingest.queries.search(
      SearchOutput.input.parse({ jobId, text: 'the needle', first: 1 }),
      reader,
    );
    expect(matches).toEqual([{ line: 43, text: 'the \u001b[1mNEE\u001b[0mdle' }]);
  });

  it('is searched from any line on, both ways, so many at a time', async () => {
    expect(await lines({ fromLine: 46, first: 2 })).toEqual({
      matches: [46, 123],
      searchedLine: 126,
      complete: false,
    });
    expect(await lines({ fromLine: 207, backwards: true, first: 3 })).toEqual({
      matches: [126, 203, 206],
      searchedLine: 126,
      complete: false,
    });
    expect(await lines({ fromLine: 126, backwards: true })).toEqual({
      matches: [43, 46, 123],
      searchedLine: 0,
      complete: true,
    });
    expect(await lines({ fromLine: 1_000 })).toEqual({ matches: [], searchedLine: 1_000, complete: true });
    expect(await lines({ fromLine: 0, backwards: true })).toMatchObject({ matches: [], complete: true });
  });

  it('is searched as it was', async () => {
    expect(await lines({ asOf: 43 })).toMatchObject({ matches: [43], complete: true });
  });

  it.each([false, true])('says how far it got when there was no time (backwards: %s)', async (backwards) => {
    const found: number[] = [];
    let pages = 0;
    for (let fromLine = backwards ? 320 : 0, complete = false; !complete; pages++) {
      const page = await lines({ fromLine, backwards }, hasty);
      found.push(...page.matches);
      ({ searchedLine: fromLine, complete } = page);
    }
    expect(pages).toBe(40);
    expect(found.sort((a, b) => a - b)).toEqual([43, 46, 123, 126, 203, 206, 283, 286]);
  });

  it('is not searched by somebody who may not read it', async () => {
    const stranger = testPrincipal({ organizations: { [newId()]: ['read'] } });
    await expect(
      ingest.queries.search(SearchOutput.input.parse({ jobId, text: 'x' }), stranger),
    ).rejects.toMatchObject({ code: 'forbidden' });
  });
});
