/** The command line's side of the GraphQL API: the same API, with the same token, that everybody has. */
import { existsSync, readFileSync } from 'node:fs';
import { PlatformError, type ErrorCode, errorTreatments } from '@gantry/contracts/errors';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { TOKEN_FILE } from './home.js';
import { readState } from './state.js';

/** Where and as whom to talk. */
export interface Endpoint {
  url: string;
  token: string;
}

/** GANTRY_URL and GANTRY_TOKEN if set, else this installation. Throws `unavailable` when nothing runs, `unauthenticated` without a token. */
export const findEndpoint = (): Endpoint => {
  const given = process.env['GANTRY_URL'];
  const state = given ? null : readState();
  if (!given && !state)
    throw new PlatformError(
      'unavailable',
      'Gantry does not run: start it with ./gantry up (or ./gantry demo).',
    );
  const token =
    process.env['GANTRY_TOKEN'] ??
    (existsSync(TOKEN_FILE) ? readFileSync(TOKEN_FILE, 'utf8').trim() : undefined);
  if (!token)
    throw new PlatformError(
      'unauthenticated',
      `No token: set GANTRY_TOKEN, or read ${TOKEN_FILE} as the user who started Gantry.`,
    );
  return {
    url: given
      ? `${given.replace(/\/+$/, '').replace(/\/graphql$/, '')}/graphql`
      : `http://127.0.0.1:${state!.ports['gateway']}/graphql`,
    token,
  };
};

interface Answer<T> {
  data?: T | null;
  errors?: { message: string; extensions?: { code?: string } }[];
}

/** While our own supervisor lives, a gateway that does not answer is being started again. */
const RESTART_MILLISECONDS = 30_000;

/**
 * Runs a query or mutation; rides out a restart of our own services (every mutation of the command line may be repeated).
 * Throws what the API says, by its code; `unavailable` when it cannot be reached.
 */
export const request = async <T>(
  endpoint: Endpoint,
  query: string,
  variables: Record<string, unknown> = {},
): Promise<T> => {
  for (const started = performance.now(); ;) {
    try {
      return await requestOnce<T>(endpoint, query, variables);
    } catch (error) {
      const passing = error instanceof PlatformError && error.code === 'unavailable';
      if (!passing || !readState() || performance.now() - started > RESTART_MILLISECONDS) throw error;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
};

const requestOnce = async <T>(
  endpoint: Endpoint,
  query: string,
  variables: Record<string, unknown>,
): Promise<T> => {
  let answer: Answer<T>;
  try {
    const response = await fetch(endpoint.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${endpoint.token}` },
      body: JSON.stringify({ query, variables }),
    });
    answer = (await response.json()) as Answer<T>;
  } catch (error) {
    throw new PlatformError(
      'unavailable',
      `${endpoint.url} does not answer: is Gantry running? (./gantry status)`,
      { cause: error },
    );
  }
  if (answer.errors?.length) throw errorOf(answer.errors[0]!);
  return answer.data as T;
};

const errorOf = ({
  message,
  extensions,
}: {
  message: string;
  extensions?: { code?: string };
}): PlatformError => {
  const code =
    Object.entries(errorTreatments).find(([, treatment]) => treatment.graphql === extensions?.code)?.[0] ??
    'defect';
  return new PlatformError(code as ErrorCode, message);
};

/** What `follow` hands over. */
export interface OutputBatch {
  events: { counter: number; event: string; stdout: string }[];
  lastCounter: number;
  final: { count: number; sha256: string; status: string | null } | null;
}

const FOLLOW = `subscription ($jobId: ID!, $after: Int) {
  jobOutput(jobId: $jobId, after: $after) { lastCounter events { counter event stdout } final { count sha256 status } }
}`;

/**
 * Every batch of a job's output up to its final one. A connection that breaks (a service restarts) is made again and goes
 * on after the last counter seen; only after a minute without any answer it gives up with `unavailable`.
 */
export async function* follow(endpoint: Endpoint, jobId: string): AsyncGenerator<OutputBatch> {
  let after = 0;
  let lastSeen = performance.now();
  for (;;) {
    const client = createClient({
      url: endpoint.url.replace(/^http/, 'ws'),
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${endpoint.token}` },
      retryAttempts: 0,
    });
    try {
      for await (const result of client.iterate<{ jobOutput: OutputBatch }>({
        query: FOLLOW,
        variables: { jobId, after },
      })) {
        if (result.errors?.length) throw errorOf(result.errors[0] as never);
        const batch = result.data!.jobOutput;
        lastSeen = performance.now();
        after = batch.lastCounter;
        yield batch;
        if (batch.final) return;
      }
    } catch (error) {
      const lasting =
        error instanceof PlatformError &&
        errorTreatments[error.code].retry === 'never' &&
        error.code !== 'defect';
      if (lasting) throw error;
      if (performance.now() - lastSeen > 60_000)
        throw new PlatformError('unavailable', 'The output cannot be followed: Gantry does not answer.', {
          cause: error,
        });
    } finally {
      void client.dispose();
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}
