/** Variables: JSON within limits, compared and merged without ever following a key called `__proto__`. */
import { PlatformError } from '@gantry/contracts/errors';

/** Variables of anything. */
export type Variables = Record<string, unknown>;

/** One set of variables is at most this long as JSON: an event has to fit into a NATS message. */
export const MAX_VARIABLES_BYTES = 512 * 1024;
/** So deep they may be nested. */
export const MAX_VARIABLES_DEPTH = 64;

/** Throws `invalid`, saying which variables (`of`: "host web1") break which limit. */
export const checkVariables = (variables: Variables, of: string): void => {
  const invalid = (why: string): PlatformError =>
    new PlatformError('invalid', `The variables of ${of} ${why}.`, { details: { of } });
  let level: unknown[] = [variables];
  let bytes = 0;
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_VARIABLES_DEPTH) throw invalid(`are nested deeper than ${MAX_VARIABLES_DEPTH} levels`);
    const next: unknown[] = [];
    for (const value of level) {
      if (typeof value === 'string') {
        bytes += value.length + 2;
        if (value.includes('\0')) throw invalid('hold a NUL character, which cannot be stored');
      } else if (typeof value === 'object' && value !== null) {
        bytes += 2;
        for (const key of Object.keys(value)) {
          if (!Array.isArray(value)) next.push(key);
          next.push((value as Variables)[key]);
        }
      } else bytes += 4;
      if (bytes > MAX_VARIABLES_BYTES) throw invalid(`are larger than ${MAX_VARIABLES_BYTES / 1024} KiB`);
    }
    level = next;
  }
};

/** JSON with the keys of every object sorted: the same value is the same text. */
export const sortedJson = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map((item) => sortedJson(item ?? null)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.keys(value)
    .sort()
    .map((key) => [key, (value as Variables)[key]] as const);
  return `{${entries
    .filter(([, item]) => item !== undefined)
    .map(([key, item]) => `${JSON.stringify(key)}:${sortedJson(item)}`)
    .join(',')}}`;
};

/** Whether two values are the same JSON. */
export const sameJson = (a: unknown, b: unknown): boolean => sortedJson(a) === sortedJson(b);

/** `over` laid over `base`, key by key at the top. */
export const mergeVariables = (base: Variables, over: Variables): Variables => ({ ...base, ...over });
