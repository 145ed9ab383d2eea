import { describe, expect, it } from 'vitest';
import { readBatch as readLines } from './ndjson.js';

const readBatch = (...of: Parameters<typeof readLines>) => [...readLines(...of)];

const bytes = (...lines: string[]): Buffer => Buffer.from(lines.map((line) => `${line}\n`).join(''));

describe('a batch of lines', () => {
  it('is read in the order of its counters', () => {
    const lines = readBatch(bytes('{"counter":5,"event":"a"}', '{"counter":6,"event":"b"}'), 5, 6);
    expect(lines.map(({ counter, event }) => [counter, event?.['event']])).toEqual([
      [5, 'a'],
      [6, 'b'],
    ]);
  });
  it('is refused when a counter is missing', () => {
    expect(() => readBatch(bytes('{"counter":5}', '{"counter":7}'), 5, 6)).toThrow(
      /says counter 7, it must be 6/,
    );
  });
  it('is refused when it has fewer lines than it claims', () => {
    expect(() => readBatch(bytes('{"counter":5}'), 5, 6)).toThrow(/has 1 lines/);
  });
  it('keeps a line that is no JSON, in its turn', () => {
    const lines = readBatch(
      Buffer.concat([bytes('{"counter":1}'), Buffer.from([0xff, 0x00, 0x0a]), bytes('{"counter":3}')]),
      1,
      3,
    );
    expect(lines.map(({ event }) => event !== null)).toEqual([true, false, true]);
  });
  it('survives JSON that is ten thousand levels deep', () => {
    const deep = `{"counter":1,"event_data":${'['.repeat(10_000)}${']'.repeat(10_000)}}`;
    expect(readBatch(bytes(deep), 1, 1)).toHaveLength(1);
  });
});
