/** Showing a job's output again with its own timing. */
import type { ShownEvent } from './archive/archive.js';

/** How to show it. */
export interface ReplaySettings {
  /** 2 is twice as fast. */
  speed: number;
  write(text: string): Promise<void>;
  /** Told of each pause that was shortened, in seconds as it was. */
  onPause(seconds: number): void;
  /** Resolves after so many milliseconds, or rejects when it is to end. */
  wait(milliseconds: number): Promise<void>;
}

/** A pause is never longer than this on the screen: nobody learns from waiting for a reboot again. */
const LONGEST_MILLISECONDS = 2_000;
/** Shorter ones are gathered: a timer is no better than this. */
const SHORTEST_MILLISECONDS = 4;

/** Shows events in their order; their times say when. An event without a time, or out of order, comes at once. */
export const replay = async (events: AsyncIterable<ShownEvent>, settings: ReplaySettings): Promise<void> => {
  let shownAt: number | null = null;
  let owed = 0;
  for await (const { created, stdout, startLine, endLine } of events) {
    const at = created === null ? Number.NaN : Date.parse(created);
    if (!Number.isNaN(at)) {
      const passed = shownAt === null ? 0 : Math.max(0, at - shownAt);
      shownAt = Math.max(at, shownAt ?? at);
      owed += passed / settings.speed;
    }
    const printed = printedBy({ stdout, startLine, endLine });
    if (printed === '') continue;
    if (owed > LONGEST_MILLISECONDS) {
      settings.onPause((owed * settings.speed) / 1_000);
      owed = LONGEST_MILLISECONDS;
    }
    if (owed >= SHORTEST_MILLISECONDS) {
      await settings.wait(owed);
      owed = 0;
    }
    await settings.write(printed);
  }
};

/** More blank lines than this in one event are nobody's output. */
const MOST_BLANK = 10_000;

/** What an event printed, blank lines at its end included. */
const printedBy = ({
  stdout,
  startLine,
  endLine,
}: Pick<ShownEvent, 'stdout' | 'startLine' | 'endLine'>): string => {
  const lines = stdout === '' ? [] : stdout.split(/\r?\n/);
  const blank = Math.min(MOST_BLANK, Math.max(0, endLine - startLine - lines.length));
  return [...lines, ...Array.from({ length: blank }, () => '')].map((line) => `${line}\n`).join('');
};
