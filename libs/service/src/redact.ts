/** Keeps secrets out of logs by the names of things. The last line of defence: secrets should not get this far. */

const secretName =
  /^(authorization|cookie|jwe|proof|assertion|seed|.*(token|password|passphrase|secret|(?<!idempotency)key|(?<!public)keys))$/i;
// Names that match and say nothing: ids and counts are worth reading.
const harmless = /^(publickey|foreignkey|idempotencykey)$/i;
const deepest = 8;

/** What stands in a secret's place. */
export const REDACTED = '[redacted]';

/** A copy in which the value of every secret-sounding name is replaced; deeper than 8 levels nothing is shown. */
export const redact = (value: unknown, depth = 0): unknown => {
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= deepest) return '[deep]';
  if (value instanceof Date) return value;
  if (value instanceof Error) return describeError(value, depth);
  if (value instanceof Uint8Array) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      name,
      isSecret(name, item) ? REDACTED : redact(item, depth + 1),
    ]),
  );
};

const isSecret = (name: string, value: unknown): boolean =>
  value !== null && value !== undefined && secretName.test(name) && !harmless.test(name);

const describeError = (error: Error, depth: number): object => ({
  name: error.name,
  message: error.message,
  ...('code' in error ? { code: error.code } : {}),
  ...('details' in error ? { details: redact(error.details, depth + 1) } : {}),
  stack: error.stack,
  ...(error.cause === undefined ? {} : { cause: redact(error.cause, depth + 1) }),
});
