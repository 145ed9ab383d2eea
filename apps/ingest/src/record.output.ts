/** Output of a record by lines, and where a job was after an event. */
import type { JobMoment, OutputFormat } from '@gantry/contracts/record';
import { plainText } from '@gantry/contracts/terminal-text';
import type { Chunks } from './adapters/chunks.js';
import type { JobRecord } from './adapters/records.js';
import { outputOf } from './domain/display.js';
import { factsOf, textOf } from './domain/facts.js';
import { createHtmlWriter, escapeHtml } from './domain/output-html.js';

/** Bytes of output in one answer: below NATS's limit of 1 MiB a message, escapes and tags included. */
export const PAGE_BYTES = 400 * 1024;
/** Lines of output in one answer. */
const PAGE_LINES = 10_000;
/** Chunks looked up at a time. */
const CHUNKS_AT_ONCE = 20;
/** Of a longer line the beginning is shown. */
const LONGEST_LINE = PAGE_BYTES / 2;
/** Of a line that grows beyond a page as it is written out (all escapes, or a colour for each letter). */
const LONGEST_GROWN_LINE = PAGE_BYTES / 8;
/** How far back a colour may have begun that HTML still knows of. */
const COLOUR_LINES = 200;

/** Writes a line in a format. Lines above the page go through it too, for the colours they leave on. */
export type LineWriter = (line: string) => string;

const createWriter = (format: OutputFormat): LineWriter => {
  if (format === 'html') return createHtmlWriter();
  return format === 'plain' ? plainText : (line) => line;
};

/** Lines [start, end) in a format, as far as one answer goes: `line` is the one after its last. Throws `unavailable`. */
export const readOutput = async (
  chunks: Chunks,
  record: JobRecord,
  start: number,
  end: number,
  format: OutputFormat,
): Promise<{ text: string; line: number }> => {
  const { lines, line } = await gather(chunks, record, start, Math.min(end, start + PAGE_LINES), format);
  return { text: lines.length === 0 ? '' : `${lines.join('\n')}\n`, line };
};

const gather = async (
  chunks: Chunks,
  record: JobRecord,
  start: number,
  end: number,
  format: OutputFormat,
): Promise<{ lines: string[]; line: number }> => {
  const lines: string[] = [];
  let [bytes, line] = [0, start];
  if (start >= end) return { lines, line };
  const write = createWriter(format);
  const from = format === 'html' ? Math.max(0, start - COLOUR_LINES) : start;
  let spans = await chunks.spansFromLine(record, from, CHUNKS_AT_ONCE);
  while (spans.length > 0) {
    for (const span of spans) {
      if (span.firstLine >= end) return { lines, line: end };
      const chunk = await chunks.open(record, span);
      for (const { event } of chunk.lines) {
        for (const [number, content] of outputOf(event)) {
          if (number < from) continue;
          if (number >= end) return { lines, line: end };
          const { shown, size } = writeLine(write, content, format);
          if (number < start) continue;
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

/** The line as shown, and the bytes it takes in the answer, which is JSON. */
export const writeLine = (
  write: LineWriter,
  content: string,
  format: OutputFormat,
): { shown: string; size: number } => {
  const cut = (length: number): string =>
    content.length > length ? `${content.slice(0, length)} [cut: ${content.length} characters]` : content;
  const whole = write(cut(LONGEST_LINE));
  const size = Buffer.byteLength(JSON.stringify(whole));
  if (size <= PAGE_BYTES) return { shown: whole, size };
  const short = cut(LONGEST_GROWN_LINE);
  const shown =
    format === 'ansi' ? short : format === 'html' ? escapeHtml(plainText(short)) : plainText(short);
  return { shown, size: Buffer.byteLength(JSON.stringify(shown)) };
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
