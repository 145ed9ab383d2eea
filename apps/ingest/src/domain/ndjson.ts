/** A batch taken apart: lines, their counters, and what each says, parsed once. Bytes that are no JSON are kept all the same. */
import { PlatformError } from '@gantry/contracts/errors';

/** One event of a batch. */
export interface Line {
  counter: number;
  /** Where its bytes lie in the batch, without the newline. */
  start: number;
  end: number;
  /** What it says, null if it is not a JSON object: then only its bytes are kept and shown. */
  event: Record<string, unknown> | null;
}

const newline = 0x0a;

/**
 * The lines of a batch, counted from `firstCounter`, parsed one at a time: with hundreds of jobs, what is parsed of a batch
 * must not live longer than it is looked at. A line that is not JSON counts as the event whose turn it is.
 * Throws `invalid` when the number of lines or a counter is not what the batch claims.
 */
export function* readBatch(raw: Buffer, firstCounter: number, lastCounter: number): Generator<Line> {
  const count = countLines(raw);
  if (count !== lastCounter - firstCounter + 1) {
    throw new PlatformError(
      'invalid',
      `The batch has ${count} lines, its headers say counters ${firstCounter} to ${lastCounter}.`,
      {
        details: { lines: count },
      },
    );
  }
  for (const line of eachLine(raw, firstCounter)) {
    const said = line.event?.['counter'];
    if (line.event && said !== line.counter) {
      throw new PlatformError(
        'invalid',
        `Event ${line.counter - firstCounter + 1} of the batch says counter ${String(said).slice(0, 20)}, it must be ${line.counter}.`,
        {
          details: { counter: line.counter },
        },
      );
    }
    yield line;
  }
}

/** The lines of stored bytes: what was checked once is not checked again. */
export const cutLines = (raw: Buffer, firstCounter: number): Line[] => [...eachLine(raw, firstCounter)];

function* eachLine(raw: Buffer, firstCounter: number): Generator<Line> {
  for (let [start, counter] = [0, firstCounter]; start < raw.length; counter++) {
    const found = raw.indexOf(newline, start);
    const end = found < 0 ? raw.length : found;
    yield { counter, start, end, event: parseObject(raw.toString('utf8', start, end)) };
    start = end + 1;
  }
}

const countLines = (raw: Buffer): number => {
  let count = 0;
  for (let start = 0; start < raw.length; count++) {
    const found = raw.indexOf(newline, start);
    start = found < 0 ? raw.length : found + 1;
  }
  return count;
};

const parseObject = (text: string): Record<string, unknown> | null => {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
};
