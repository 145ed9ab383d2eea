/** Plain forms of a job's events. */
import type { JobEvent } from '@gantry/contracts/record';

type Printed = Pick<JobEvent, 'stdout' | 'startLine' | 'endLine'>;

/** What an event printed, without line ends. Output without a newline at its end counts no line of its own. */
const linesOf = ({ stdout, startLine, endLine }: Printed): string[] => {
  if (stdout === '') return [];
  return endLine > startLine ? stdout.split(/\r?\n/, endLine - startLine) : [stdout];
};

/** What the events printed, as ANSI text: each line ended by a line feed. */
export const textOf = (events: readonly Printed[]): string =>
  events
    .flatMap(linesOf)
    .map((line) => `${line}\n`)
    .join('');

/** Number of the first line that the events printed; null if they printed nothing. */
export const firstLineOf = (events: readonly Printed[]): number | null =>
  events.find(({ stdout }) => stdout !== '')?.startLine ?? null;

/** The events as JSON, one a line. */
export const ndjsonOf = (events: readonly object[]): string =>
  events.map((event) => `${JSON.stringify(event)}\n`).join('');
