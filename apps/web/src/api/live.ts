/** Subscriptions that come back by themselves: each attempt asks with the position reached so far. */
import { createClient, type Client } from 'graphql-ws';
import { endSessionIfRefused } from './client.js';
import type { Document } from './document.js';
import { ApiProblem, mayPass, problemOf } from './problem.js';
import { currentSession } from './session.js';

/** graphql-ws's close code for a refused connection_init. */
const FORBIDDEN = 4403;
const SHORTEST_WAIT = 500;
const LONGEST_WAIT = 15_000;

/** How a subscription stands. */
export type LiveState = 'connecting' | 'live' | 'retrying' | 'ended' | 'failed';

/** A subscription to be kept up. */
export interface Watch<Result, Variables> {
  document: Document<Result, Variables>;
  /** Asked again before each attempt, so that it can carry the position. */
  variables: () => Variables;
  onData: (data: Result) => void;
  onState?: (state: LiveState, problem?: ApiProblem) => void;
}

let client: { token: string | null; ws: Client; open: boolean } | null = null;

/** One connection for all subscriptions of a session; it opens with the first and closes with the last. */
const clientFor = (token: string | null) => {
  if (client?.token === token) return client;
  void client?.ws.dispose();
  const url = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/graphql`;
  const ws = createClient({
    url,
    // Coming back is done below, with the new position: the client itself would repeat the old one.
    retryAttempts: 0,
    keepAlive: 15_000,
    lazyCloseTimeout: 3_000,
    connectionParams: token ? { authorization: `Bearer ${token}` } : {},
  });
  const made = { token, ws, open: false };
  ws.on('connected', () => (made.open = true));
  ws.on('closed', () => (made.open = false));
  client = made;
  return made;
};

const asProblem = (error: unknown): ApiProblem => {
  if (error instanceof ApiProblem) return error;
  if (Array.isArray(error)) return problemOf(error as { message: string }[]);
  const { code, reason } = error as { code?: number; reason?: string };
  if (code === FORBIDDEN) return new ApiProblem('UNAUTHENTICATED', reason || 'The token is not good.');
  return new ApiProblem('OFFLINE', reason || 'The connection to Gantry broke.');
};

/** Keeps a subscription up until it completes or the returned function is called. */
export const watch = <Result, Variables>(options: Watch<Result, Variables>): (() => void) => {
  let stopped = false;
  let stopAttempt = (): void => undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  const again = (problem: ApiProblem): void => {
    if (stopped) return;
    options.onState?.('retrying', problem);
    const wait = Math.min(LONGEST_WAIT, SHORTEST_WAIT * 2 ** failures++);
    // Half of the wait is by chance, so that many pages do not come back at the same moment.
    timer = setTimeout(attempt, wait / 2 + (Math.random() * wait) / 2);
  };
  const attempt = (): void => {
    const { token } = currentSession();
    if (stopped) return;
    const connection = clientFor(token);
    // A subscription that has nothing to say yet is live as soon as its connection is.
    options.onState?.(connection.open ? 'live' : 'connecting');
    const unlisten = connection.ws.on('connected', () => !stopped && options.onState?.('live'));
    const unsubscribe = connection.ws.subscribe<Result>(
      { query: options.document.text, variables: options.variables() as Record<string, unknown> },
      {
        next: ({ data, errors }) => {
          if (stopped) return;
          if (errors?.length) return fail(problemOf(errors as { message: string }[]), token);
          failures = 0;
          options.onState?.('live');
          if (data) options.onData(data);
        },
        error: (error) => fail(asProblem(error), token),
        complete: () => {
          unlisten();
          if (!stopped) options.onState?.('ended');
        },
      },
    );
    stopAttempt = () => {
      unlisten();
      unsubscribe();
    };
  };
  const fail = (problem: ApiProblem, token: string | null): void => {
    if (stopped) return;
    stopAttempt();
    endSessionIfRefused(problem, token);
    if (mayPass(problem)) again(problem);
    else options.onState?.('failed', problem);
  };
  attempt();
  return () => {
    stopped = true;
    clearTimeout(timer);
    stopAttempt();
  };
};
