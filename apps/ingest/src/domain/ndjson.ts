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
 * The lines of a batch, counted from `firstCounter`. A line that is not JSON counts as the event whose turn it is.
 * Throws `invalid` when the number of lines or a counter is not what the batch claims.
 */
export const readBatch = (raw: Buffer, firstCounter: number, lastCounter: number): Line[] => {
  const lines = cutLines(raw, firstCounter);
  if (lines.length !== lastCounter - firstCounter + 1) {
    throw new PlatformError(
      'invalid',
      `The batch has ${lines.length} lines, its headers say counters ${firstCounter} to ${lastCounter}.`,
      {
        details: { lines: lines.length },
      },
    );
  }
  for (const line of lines) {
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
  }
  return lines;
};

/** The lines of stored bytes: what was checked once is not checked again. */
export const cutLines = (raw: Buffer, firstCounter: number): Line[] => {
  const lines: Line[] = [];
  let start = 0;
  while (start < raw.length) {
    const found = raw.indexOf(newline, start);
    const end = found < 0 ? raw.length : found;
    lines.push({
      counter: firstCounter + lines.length,
      start,
      end,
      event: parseObject(raw.toString('utf8', start, end)),
    });
    start = end + 1;
  }
  return lines;
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
