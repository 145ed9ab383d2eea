/** What can go wrong between the page and the API, as one error with the API's code and sentence. */

/** An error of the API, or of the way to it. */
export class ApiProblem extends Error {
  /** One of the schema's codes; OFFLINE when no answer came at all. */
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

interface WireError {
  message: string;
  extensions?: { code?: unknown };
}

/** The first error of a GraphQL answer. */
export const problemOf = (errors: readonly WireError[]): ApiProblem => {
  const first = errors[0];
  const code = first?.extensions?.code;
  return new ApiProblem(
    typeof code === 'string' ? code : 'INTERNAL',
    first?.message ?? 'The API failed without a word.',
  );
};

/** What a person can do about it. */
export const adviceFor = (problem: unknown): string => {
  switch (problem instanceof ApiProblem ? problem.code : 'INTERNAL') {
    case 'OFFLINE':
      return 'Check that Gantry is running (./gantry status) and that this browser reaches it, then try again.';
    case 'UNAVAILABLE':
      return 'A part of Gantry is starting or down. It usually passes by itself: try again in a moment.';
    case 'FORBIDDEN':
      return 'Ask an administrator of the organization for a role that allows it.';
    case 'NOT_FOUND':
      return 'It may have been deleted, or you may not see it.';
    case 'BAD_USER_INPUT':
    case 'REFUSED':
    case 'CONFLICT':
      return 'Change what you entered and try again.';
    default:
      return 'Try again; if it stays, the gateway’s log has the details.';
  }
};

/** Will asking again help? */
export const mayPass = (problem: ApiProblem): boolean =>
  !['UNAUTHENTICATED', 'FORBIDDEN', 'NOT_FOUND', 'BAD_USER_INPUT'].includes(problem.code);
