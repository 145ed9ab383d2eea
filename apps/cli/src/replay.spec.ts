import { describe, expect, it } from 'vitest';
import type { ShownEvent } from './archive/archive.js';
import { replay } from './replay.js';

const at = (seconds: number, stdout: string | null = `at ${seconds}`) => ({
  counter: 1,
  created: new Date(1_700_000_000_000 + seconds * 1_000).toISOString(),
  stdout: stdout ?? '',
  startLine: 0,
  endLine: stdout === '' ? 0 : 1,
});

/** What a replay does, in order. */
const play = async (events: ShownEvent[], speed = 1) => {
  const did: (string | number)[] = [];
  const source = async function* () {
    yield* events;
  };
  await replay(source(), {
    speed,
    write: async (text) => void did.push(text.trimEnd()),
    onPause: (seconds) => void did.push(`pause ${seconds}`),
    wait: async (milliseconds) => void did.push(milliseconds),
  });
  return did;
};

describe('a replay', () => {
  it('waits as long as the job did', async () => {
    expect(await play([at(0), at(0.5), at(1.5)])).toEqual(['at 0', 500, 'at 0.5', 1_000, 'at 1.5']);
  });

  it('waits less at a higher speed, and gathers what is too short for a timer', async () => {
    expect(await play([at(0), at(1), at(1.001), at(1.002), at(2)], 2)).toEqual([
      'at 0', 500, 'at 1', 'at 1.001', 'at 1.002', 500, 'at 2',
    ]); // prettier-ignore
  });

  it('shortens a long pause and says how long it was', async () => {
    expect(await play([at(0), at(600)])).toEqual(['at 0', 'pause 600', 2_000, 'at 600']);
  });

  it('counts the time of events that print nothing', async () => {
    expect(await play([at(0), at(0.3, ''), at(0.4)])).toEqual(['at 0', 400, 'at 0.4']);
  });

  it('prints the blank lines that end an event', async () => {
    const written: string[] = [];
    const source = async function* () {
      yield { ...at(0, 'recap'), endLine: 3 };
    };
    await replay(source(), {
      speed: 1,
      write: async (text) => void written.push(text),
      onPause: () => undefined,
      wait: async () => undefined,
    });
    expect(written).toEqual(['recap\n\n\n']);
  });

  it('is not held up by a clock that goes back, nor by an event without a time', async () => {
    expect(await play([at(5), at(3), { ...at(0, 'now'), created: null }, at(5.1)])).toEqual([
      'at 5', 'at 3', 'now', 100, 'at 5.1',
    ]); // prettier-ignore
  });
});
