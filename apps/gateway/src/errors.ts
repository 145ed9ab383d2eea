/** What a client is told of an error: the closed codes, a sentence, never a stack or a cause. */
import { asPlatformError, errorTreatments, isPlatformError } from '@gantry/contracts/errors';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';

interface Logger {
  error(details: object, message: string): void;
}

/** GraphQL's own complaints about a document are the client's to mend and are told as they are. */
const ofDocument = new Set([
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'BAD_USER_INPUT',
  'OPERATION_RESOLUTION_FAILURE',
  'BAD_REQUEST',
  'PERSISTED_QUERY_NOT_SUPPORTED',
]);

/** The formatted form of any error of an operation. Logs what is our fault. */
export const formatError =
  (logger: Logger) =>
  (formatted: GraphQLFormattedError, thrown: unknown): GraphQLFormattedError => {
    const original = thrown instanceof GraphQLError ? (thrown.originalError ?? thrown) : thrown;
    const place = {
      ...(formatted.locations && { locations: formatted.locations }),
      ...(formatted.path && { path: formatted.path }),
    };
    if (
      !isPlatformError(original) &&
      (original instanceof GraphQLError || ofDocument.has(String(formatted.extensions?.['code'])))
    ) {
      const code = String(formatted.extensions?.['code'] ?? 'BAD_USER_INPUT');
      if (code !== 'INTERNAL_SERVER_ERROR')
        return { message: formatted.message, ...place, extensions: { code } };
    }
    const error = asPlatformError(original);
    if (error.code === 'defect') logger.error({ err: original, path: formatted.path }, 'an operation failed');
    // Where a subscription that ends goes on from.
    const { lastCounter, ...details } = error.details;
    return {
      message: error.message,
      ...place,
      extensions: {
        code: errorTreatments[error.code].graphql,
        ...(lastCounter !== undefined && { lastCounter }),
        ...(Object.keys(details).length > 0 && { details }),
      },
    };
  };
