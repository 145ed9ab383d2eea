/** Questions to the API and their answers, over HTTP. */
import type { Document } from './document.js';
import { ApiProblem, problemOf } from './problem.js';
import { currentSession, signOut } from './session.js';

const SIGNED_OUT = 'Your session has ended. Sign in again to go on where you were.';

const answerOf = async (response: Response): Promise<{ data?: unknown; errors?: { message: string }[] }> => {
  try {
    return (await response.json()) as { data?: unknown };
  } catch {
    throw new ApiProblem('UNAVAILABLE', `Gantry answered with HTTP ${response.status} and no GraphQL.`);
  }
};

/** Asks with a given token. Throws ApiProblem; touches no session. */
export const ask = async <Result, Variables>(
  token: string | null,
  { text }: Document<Result, Variables>,
  variables: Variables,
  signal?: AbortSignal,
): Promise<Result> => {
  const response = await fetch('/graphql', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query: text, variables }),
    signal,
  }).catch((error: unknown) => {
    if (signal?.aborted) throw error;
    throw new ApiProblem('OFFLINE', 'Gantry does not answer.');
  });
  const { data, errors } = await answerOf(response);
  if (errors?.length) throw problemOf(errors);
  return data as Result;
};

/** Asks as whoever is signed in. A token that is no longer good ends the session. */
export const request = async <Result, Variables>(
  query: Document<Result, Variables>,
  variables: Variables,
  signal?: AbortSignal,
): Promise<Result> => {
  const { token } = currentSession();
  try {
    return await ask(token, query, variables, signal);
  } catch (error) {
    endSessionIfRefused(error, token);
    throw error;
  }
};

/** Signs out if the API said that `token` is not good, and no other has taken its place meanwhile. */
export const endSessionIfRefused = (error: unknown, token: string | null): void => {
  if (error instanceof ApiProblem && error.code === 'UNAUTHENTICATED' && currentSession().token === token) {
    signOut(`${SIGNED_OUT} (${error.message})`);
  }
};
