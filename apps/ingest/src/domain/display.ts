/** Events as queries show them: bounded in depth and size, without what a program downstream could choke on. The bytes stay as they came. */
import type { JobEvent } from '@gantry/contracts/record';
import { factsOf, objectOf, textOf, wellFormed } from './facts.js';
import type { Line } from './ndjson.js';

const deepest = 48;
/** An event whose JSON is longer than this is shown in part. */
export const largestShown = 128 * 1024;

/** Shows an event. `raw` is the chunk it lies in. */
export const showEvent = (raw: Buffer, line: Line): JobEvent => {
  const { event } = line;
  const facts = factsOf(event);
  const sizeBytes = line.end - line.start;
  const large = sizeBytes > largestShown;
  const stdout = event ? event['stdout'] : raw.toString('utf8', line.start, line.end);
  const startLine = whole(event?.['start_line']);
  return {
    counter: line.counter,
    uuid: textOf(event?.['uuid'], 100) ?? '',
    parentUuid: textOf(event?.['parent_uuid'], 100),
    event: event ? facts.event : 'unreadable',
    stdout: typeof stdout === 'string' ? cut(stdout, large) : '',
    startLine,
    endLine: Math.max(startLine, whole(event?.['end_line'])),
    created: textOf(event?.['created'], 100),
    host: facts.host,
    task: facts.task,
    play: facts.play,
    role: facts.role,
    failed: facts.failed,
    changed: facts.changed,
    eventData: large
      ? { gantry_truncated: true, size_bytes: sizeBytes }
      : (displayOf(objectOf(event?.['event_data']) ?? {}) as Record<string, unknown>),
  };
};

const cut = (text: string, large: boolean): string =>
  wellFormed(
    large && text.length > largestShown / 4
      ? `${text.slice(0, largestShown / 4)}\n[cut: ${text.length} characters, the record has them all]`
      : text,
  );

const whole = (value: unknown): number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 31 ? (value as number) : 0;

/** JSON that is safe to pass on: at most 48 levels deep, no NUL, lone surrogates, infinite numbers or `__proto__` keys. */
export const displayOf = (value: unknown, depth = 0): unknown => {
  if (typeof value === 'string') return wellFormed(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= deepest) return '[deeper than is shown]';
  if (Array.isArray(value)) return value.map((item) => displayOf(item, depth + 1));
  const shown: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    if (key !== '__proto__')
      shown[wellFormed(key)] = displayOf((value as Record<string, unknown>)[key], depth + 1);
  }
  return shown;
};

/** More blank lines than anything prints at its end. */
const MOST_BLANK = 10_000;

/**
 * Lines of output that an event printed: `[number, text]`, in order. Blank ones at the end are counted by its line numbers and not
 * in its `stdout`.
 */
export const outputOf = (event: Record<string, unknown> | null): [number, string][] => {
  const stdout = event?.['stdout'];
  if (typeof stdout !== 'string') return [];
  const start = whole(event?.['start_line']);
  const count = Math.max(whole(event?.['end_line']) - start, 0);
  // Output without a newline at its end counts no line of its own.
  if (count === 0) return stdout === '' ? [] : [[start, wellFormed(stdout)]];
  const texts = stdout.split(/\r?\n/, count);
  const blank = Math.min(count - texts.length, MOST_BLANK);
  return [...texts, ...Array.from({ length: blank }, () => '')].map((text, index): [number, string] => [
    start + index,
    wellFormed(text),
  ]);
};
