import { PlatformError } from '@gantry/contracts/errors';
import { expect, it } from 'vitest';
import { createLagAlarm, type LagAlarm } from './lag.js';

/** Something that counts, and something that follows it; with a clock of its own and what the alarm logged. */
const world = (): {
  alarm: LagAlarm;
  at: (seconds: number, state: { there: number; reached: number }) => Promise<string>;
  lines: string[];
  away: (away: boolean) => void;
} => {
  let [now, there, reached, isAway] = [0, 0, 0, false];
  const lines: string[] = [];
  const alarm = createLagAlarm<number>({
    name: 'follower',
    seconds: 10,
    now: () => now,
    logger: {
      warn: (_: unknown, line?: string) => void lines.push(`warn ${line}`),
      info: (_: unknown, line?: string) => void lines.push(`info ${line}`),
    } as Parameters<typeof createLagAlarm>[0]['logger'],
    follower: {
      mark: async () => there,
      missing: async (mark) => {
        if (isAway) throw new PlatformError('unavailable', 'Postgres is away.');
        return reached < mark ? `${mark - reached} are missing` : null;
      },
    },
  });
  return {
    alarm,
    lines,
    away: (away) => void (isAway = away),
    at: async (seconds, state) => {
      now = seconds * 1_000;
      ({ there, reached } = state);
      await alarm.look();
      return alarm.check().then(
        () => 'ok',
        (error: Error) => error.message,
      );
    },
  };
};

it('rings once something was missing for longer than the bound, until that is there', async () => {
  const { at, lines } = world();
  expect(await at(0, { there: 5, reached: 0 })).toBe('ok');
  expect(await at(10, { there: 5, reached: 3 })).toBe('ok');
  expect(await at(11, { there: 9, reached: 3 })).toBe('2 are missing after 11 s; more than 10 s is too late');
  expect(await at(15, { there: 9, reached: 3 })).toMatch('2 are missing after 15 s');
  expect(await at(16, { there: 9, reached: 5 })).toBe('ok');
  expect(lines).toEqual(['warn 2 are missing after 11 s; more than 10 s is too late', 'info has caught up']);
  // What came meanwhile has its own time.
  expect(await at(26, { there: 9, reached: 5 })).toBe('ok');
  expect(await at(27, { there: 9, reached: 5 })).toMatch('4 are missing after 11 s');
});

it('does not ring for what follows closely though it is never quite there', async () => {
  const { at, lines } = world();
  for (let second = 0; second < 100; second += 5)
    expect(await at(second, { there: second * 10 + 5, reached: second * 10 })).toBe('ok');
  expect(lines).toEqual([]);
});

it('neither begins nor ends to ring while Postgres is away', async () => {
  const { at, away } = world();
  expect(await at(0, { there: 5, reached: 0 })).toBe('ok');
  away(true);
  expect(await at(20, { there: 5, reached: 5 })).toBe('ok');
  away(false);
  expect(await at(21, { there: 5, reached: 4 })).toMatch('1 are missing after 21 s');
  away(true);
  expect(await at(22, { there: 5, reached: 5 })).toMatch('1 are missing');
});
