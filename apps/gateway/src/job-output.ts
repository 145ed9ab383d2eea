/** Plain forms of a job's events. */
import type { JobEvent } from '@gantry/contracts/record';

type Printed = Pick<JobEvent, 'stdout' | 'startLine' | 'endLine'>;

/** Of a longer output ingest shows the beginning: what is left out is not made up with blank lines. */
const SHOWN_WHOLE = 32 * 1024;

/**
 * What an event printed, without line ends. Output without a newline at its end counts no line of its own; blank lines at the end
 * are in the line numbers alone.
 */
const linesOf = ({ stdout, startLine, endLine }: Printed): string[] => {
  const count = endLine - startLine;
  if (count <= 0) return stdout === '' ? [] : [stdout];
  const lines = stdout.split(/\r?\n/, count);
  const blank = stdout.length < SHOWN_WHOLE ? Math.min(count - lines.length, SHOWN_WHOLE) : 0;
  return [...lines, ...Array.from({ length: blank }, () => '')];
};

/** What the events printed, as ANSI text: each line ended by a line feed. */
export const textOf = (events: readonly Printed[]): string =>
  events
    .flatMap(linesOf)
    .map((line) => `${line}\n`)
    .join('');

/** Number of the first line that the events printed; null if they printed nothing. */
export const firstLineOf = (events: readonly Printed[]): number | null =>
  events.find(({ stdout, startLine, endLine }) => stdout !== '' || endLine > startLine)?.startLine ?? null;

/** The events as JSON, one a line. */
export const ndjsonOf = (events: readonly object[]): string =>
  events.map((event) => `${JSON.stringify(event)}\n`).join('');
