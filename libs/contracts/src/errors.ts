/**
 * The closed set of error codes, and what each means to the bus, GraphQL, HTTP and the log.
 * Everything that can go wrong in Gantry is one of these; whoever catches one branches on `code`,
 * never on `instanceof` (an error may have crossed a process).
 */

/** How an error code is treated wherever it surfaces. */
export interface ErrorTreatment {
  /** When trying again can help: never, at once (a lost race), or later (a dependency is away). */
  retry: 'never' | 'now' | 'later';
  /** What a bus consumer does with the message: see `@gantry/bus/consume`. */
  bus: 'terminate' | 'ack' | 'retry' | 'dead-letter';
  /** `extensions.code` in a GraphQL answer. */
  graphql: string;
  /** HTTP status of the plain endpoints (pods, health, webhooks). */
  http: number;
  /** Level under which it is logged. */
  log: 'debug' | 'info' | 'warn' | 'error';
}

/** Treatment of every code; the only table of its kind. */
export const errorTreatments = {
  invalid: { retry: 'never', bus: 'terminate', graphql: 'BAD_USER_INPUT', http: 400, log: 'info' },
  refused: { retry: 'never', bus: 'ack', graphql: 'REFUSED', http: 422, log: 'info' },
  unauthenticated: { retry: 'never', bus: 'terminate', graphql: 'UNAUTHENTICATED', http: 401, log: 'info' },
  forbidden: { retry: 'never', bus: 'terminate', graphql: 'FORBIDDEN', http: 403, log: 'info' },
  not_found: { retry: 'never', bus: 'terminate', graphql: 'NOT_FOUND', http: 404, log: 'info' },
  conflict: { retry: 'now', bus: 'retry', graphql: 'CONFLICT', http: 409, log: 'debug' },
  unavailable: { retry: 'later', bus: 'retry', graphql: 'UNAVAILABLE', http: 503, log: 'warn' },
  cancelled: { retry: 'never', bus: 'retry', graphql: 'CANCELLED', http: 499, log: 'debug' },
  defect: { retry: 'never', bus: 'dead-letter', graphql: 'INTERNAL', http: 500, log: 'error' },
} as const satisfies Record<string, ErrorTreatment>;

/** The closed set of codes. */
export type ErrorCode = keyof typeof errorTreatments;

/** What an error looks like on a wire: no stack, no cause. */
export interface ErrorOnWire {
  code: ErrorCode;
  message: string;
  details?: Record<string, unknown>;
}

/**
 * The one error class. `message` is a sentence for a person: what is wrong, where, what to do.
 * Neither message nor details ever hold a secret.
 */
export class PlatformError extends Error {
  override readonly name = 'PlatformError';
  readonly code: ErrorCode;
  readonly details: Record<string, unknown>;

  constructor(
    code: ErrorCode,
    message: string,
    options: { details?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** True for a PlatformError of this or another copy of the package. */
export const isPlatformError = (error: unknown): error is PlatformError =>
  error instanceof Error &&
  error.name === 'PlatformError' &&
  'code' in error &&
  (error.code as string) in errorTreatments;

/** Any thrown value as a PlatformError; what is not one already becomes `defect` with the original as cause. */
export const asPlatformError = (error: unknown): PlatformError =>
  isPlatformError(error)
    ? error
    : new PlatformError('defect', 'Something went wrong inside Gantry; its log has the details.', {
        cause: error,
      });

/** The wire form of any thrown value. A defect tells nothing of its cause. */
export const toWire = (error: unknown): ErrorOnWire => {
  const { code, message, details } = asPlatformError(error);
  return Object.keys(details).length > 0 ? { code, message, details } : { code, message };
};

/** The error that a wire form stands for; an unknown code becomes `defect`. */
export const fromWire = (wire: ErrorOnWire): PlatformError =>
  new PlatformError(wire.code in errorTreatments ? wire.code : 'defect', wire.message, {
    details: wire.details,
  });
