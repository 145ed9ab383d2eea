/** The command line's side of the GraphQL API: the same API, with the same token, that everybody has. */
import { existsSync, readFileSync } from 'node:fs';
import {
  errorTreatments,
  fromWire,
  PlatformError,
  type ErrorCode,
  type ErrorOnWire,
} from '@gantry/contracts/errors';
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

/** What `follow` hands over, besides the fields asked for. */
export interface OutputBatch {
  firstCounter: number;
  lastCounter: number;
  final: { count: number; sha256: string; status: string | null } | null;
}

/** How long to try in vain before giving up, and how long to wait in between. */
const PATIENCE_MILLISECONDS = 60_000;
const PAUSE_MILLISECONDS = 300;

/** Waits before the next attempt after `error`; throws it if that cannot help, `unavailable` if it has not helped for a minute. */
const pauseAfter = async (error: unknown, failingSince: number, what: string): Promise<void> => {
  const lasting =
    error instanceof PlatformError &&
    errorTreatments[error.code].retry === 'never' &&
    error.code !== 'defect';
  if (lasting) throw error;
  if (performance.now() - failingSince > PATIENCE_MILLISECONDS)
    throw new PlatformError('unavailable', `${what}: Gantry does not answer.`, { cause: error });
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MILLISECONDS));
};

/**
 * Every batch of a job's output up to its final one, with these `fields` of JobOutputBatch: `text` is what was printed, each
 * line ended by a line feed. A connection that breaks (a service restarts) is made again and goes
 * on after the last counter seen; only after a minute without any answer it gives up with `unavailable`.
 */
export async function* follow<Fields extends object = { text: string }>(
  endpoint: Endpoint,
  jobId: string,
  fields = 'text',
): AsyncGenerator<OutputBatch & Fields> {
  const query = `subscription ($jobId: ID!, $after: Int) {
    jobOutput(jobId: $jobId, after: $after) { firstCounter lastCounter final { count sha256 status } ${fields} } }`;
  let after = 0;
  let failingSince: number | null = null;
  for (;;) {
    const client = createClient({
      url: endpoint.url.replace(/^http/, 'ws'),
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${endpoint.token}` },
      retryAttempts: 0,
    });
    let broken: unknown = new Error('the subscription ended before the job did');
    try {
      for await (const result of client.iterate<{ jobOutput: OutputBatch & Fields }>({
        query,
        variables: { jobId, after },
      })) {
        if (result.errors?.length) throw errorOf(result.errors[0] as never);
        const batch = result.data!.jobOutput;
        failingSince = null;
        after = batch.lastCounter;
        yield batch;
        if (batch.final) return;
      }
    } catch (error) {
      // An error of the subscription itself comes as a list.
      broken = Array.isArray(error) ? errorOf(error[0] as never) : error;
    } finally {
      void client.dispose();
    }
    await pauseAfter(broken, (failingSince ??= performance.now()), 'The output cannot be followed');
  }
}

/**
 * What a job has printed so far, in whole lines, as it streams in. A stream that breaks is taken up where it broke. Throws as
 * `follow`.
 */
export async function* outputOf(endpoint: Endpoint, jobId: string): AsyncGenerator<string> {
  const address = `${endpoint.url.replace(/\/graphql$/, '')}/api/jobs/${jobId}/stdout`;
  let line = 0;
  let failingSince: number | null = null;
  for (;;) {
    try {
      for await (const text of linesFrom(`${address}?startLine=${line}`, endpoint.token)) {
        failingSince = null;
        line += text.split('\n').length - 1;
        yield text;
      }
      return;
    } catch (error) {
      await pauseAfter(error, (failingSince ??= performance.now()), 'The output cannot be read');
    }
  }
}

async function* linesFrom(url: string, token: string): AsyncGenerator<string> {
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  if (!response.ok) throw fromWire((await response.json()) as ErrorOnWire);
  let rest = '';
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    const text = rest + piece;
    const end = text.lastIndexOf('\n') + 1;
    rest = text.slice(end);
    if (end > 0) yield text.slice(0, end);
  }
  if (rest) yield rest;
}
