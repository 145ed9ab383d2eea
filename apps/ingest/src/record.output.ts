/** Output of a record by lines, and where a job was after an event. */
import type { JobMoment, OutputFormat } from '@gantry/contracts/record';
import { plainText } from '@gantry/contracts/terminal-text';
import type { Chunks } from './adapters/chunks.js';
import { htmlOf } from './adapters/output-html.js';
import type { JobRecord } from './adapters/records.js';
import { outputOf } from './domain/display.js';
import { factsOf, textOf } from './domain/facts.js';

/** Bytes of output in one answer: below NATS's limit of 1 MiB a message, escapes and tags included. */
const PAGE_BYTES = 400 * 1024;
/** Lines of output in one answer. */
const PAGE_LINES = 10_000;
/** Chunks looked up at a time. */
const CHUNKS_AT_ONCE = 20;
/** Of a longer line the beginning is shown. */
const LONGEST_LINE = PAGE_BYTES / 2;

/** Lines [start, end) in a format, as far as one answer goes: `line` is the one after its last. Throws `unavailable`. */
export const readOutput = async (
  chunks: Chunks,
  record: JobRecord,
  start: number,
  end: number,
  format: OutputFormat,
): Promise<{ text: string; line: number }> => {
  const { lines, line } = await gather(chunks, record, start, Math.min(end, start + PAGE_LINES));
  if (lines.length === 0) return { text: '', line };
  const shown =
    format === 'html' ? htmlOf(lines) : (format === 'plain' ? lines.map(plainText) : lines).join('\n');
  return { text: `${shown}\n`, line };
};

const gather = async (
  chunks: Chunks,
  record: JobRecord,
  start: number,
  end: number,
): Promise<{ lines: string[]; line: number }> => {
  const lines: string[] = [];
  let [bytes, line] = [0, start];
  if (start >= end) return { lines, line };
  let spans = await chunks.spansFromLine(record, start, CHUNKS_AT_ONCE);
  while (spans.length > 0) {
    for (const span of spans) {
      if (span.firstLine >= end) return { lines, line: end };
      const chunk = await chunks.open(record, span);
      for (const { event } of chunk.lines) {
        for (const [number, content] of outputOf(event)) {
          if (number < start) continue;
          if (number >= end) return { lines, line: end };
          const shown =
            content.length > LONGEST_LINE
              ? `${content.slice(0, LONGEST_LINE)} [cut: ${content.length} characters]`
              : content;
          const size = Buffer.byteLength(shown) + 1;
          if (lines.length > 0 && bytes + size > PAGE_BYTES) return { lines, line };
          lines.push(shown);
          bytes += size;
          line = number + 1;
        }
      }
    }
    const last = spans.at(-1)!.lastCounter;
    spans = last >= record.lastCounter ? [] : await chunks.spansFrom(record, last + 1, CHUNKS_AT_ONCE);
  }
  return { lines, line: end };
};

/** Where the job was after event `counter`, which must not be above the record's last. Opens one chunk. Throws `unavailable`. */
export const momentAfter = async (chunks: Chunks, record: JobRecord, counter: number): Promise<JobMoment> => {
  const nowhere: JobMoment = { counter, line: 0, at: null, play: null, task: null };
  if (counter === 0) return nowhere;
  const [span] = await chunks.spansFrom(record, counter, 1);
  if (!span) return nowhere;
  const { lines } = await chunks.open(record, span);
  const moment = nowhere;
  for (const { counter: number, event } of lines) {
    if (number > counter) break;
    const facts = factsOf(event);
    const line = event?.['end_line'];
    if (Number.isInteger(line)) moment.line = line as number;
    moment.at = textOf(event?.['created'], 40) ?? moment.at;
    moment.play = facts.play ?? moment.play;
    moment.task = facts.task ?? moment.task;
  }
  return moment;
};
