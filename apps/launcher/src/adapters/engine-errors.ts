/** Errors of the Docker Engine API, as dockerode throws them, as ours. */
import { PlatformError } from '@gantry/contracts/errors';

/** HTTP status of the engine's answer; undefined when it did not answer. */
export const statusOf = (error: unknown): number | undefined =>
  error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number'
    ? error.statusCode
    : undefined;

/** The engine's own words, without dockerode's around them. */
export const messageOf = (error: unknown): string => {
  const words =
    error instanceof Error && 'json' in error
      ? (error.json as { message?: unknown } | null)?.message
      : undefined;
  return typeof words === 'string' && words !== ''
    ? words
    : error instanceof Error
      ? error.message
      : String(error);
};

/** An error of the engine as ours: no answer is `unavailable`, an answer that says no is `refused`. */
export const asEngineError = (error: unknown, host: string, what: string): PlatformError => {
  if (error instanceof PlatformError) return error;
  if (statusOf(error) === undefined) {
    return new PlatformError(
      'unavailable',
      `The container engine does not answer at ${host} (${messageOf(error)}).`,
      {
        details: { reason: 'engine_unavailable' },
        cause: error,
      },
    );
  }
  return new PlatformError('refused', `The container engine ${what}: ${messageOf(error)}`, {
    details: { reason: 'engine_refused' },
    cause: error,
  });
};

/** An answer; null when what was asked about is not there, or the status is one of `fine`. */
export const unlessMissing = async <T>(
  answer: Promise<T>,
  host: string,
  fine: readonly number[] = [],
): Promise<T | null> =>
  answer.catch((error: unknown) => {
    const status = statusOf(error);
    if (status === 404 || (status !== undefined && fine.includes(status))) return null;
    // Podman says 500 where Docker says 404 or 409.
    if (/no such container|no container with|is not running|can only kill running/i.test(messageOf(error)))
      return null;
    throw asEngineError(error, host, 'failed');
  });
