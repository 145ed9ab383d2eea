/** A watcher as a good client is one: comes back with its last counter whenever its connection ends. */
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { adminToken, world } from '../e2e/api.js';
import { pause } from './parts.js';

/** What a watcher has seen. */
export interface Watched {
  counters: number[];
  final: { count: number; sha256: string; status: string | null } | null;
  /** How often it had to come back. */
  returns: number;
  /** Codes of the errors it met. */
  errors: Set<string>;
}

/** Its running picture, and the promise of the whole. */
export interface Watcher {
  seen: Watched;
  done: Promise<Watched>;
  /** Hangs up. */
  stop(): void;
}

interface Batch {
  lastCounter: number;
  events: { counter: number }[];
  final: Watched['final'];
}

const document =
  'subscription ($jobId: ID!, $after: Int) { jobOutput(jobId: $jobId, after: $after) { lastCounter events { counter } final { count sha256 status } } }';

/** Watches a job from `after` to its final batch. */
export const watch = (jobId: string, after = 0): Watcher => {
  const seen: Watched = { counters: [], final: null, returns: 0, errors: new Set() };
  const over = new AbortController();
  const read = async (): Promise<Watched> => {
    for (let position = after; !seen.final && !over.signal.aborted; seen.returns++) {
      const client = createClient({
        url: world.graphqlWs,
        webSocketImpl: WebSocket,
        retryAttempts: 0,
        connectionParams: { authorization: `Bearer ${adminToken()}` },
      });
      const hangUp = () => void client.dispose();
      over.signal.addEventListener('abort', hangUp);
      try {
        for await (const { data, errors } of client.iterate<{ jobOutput: Batch }>({
          query: document,
          variables: { jobId, after: position },
        })) {
          if (errors) throw errors;
          const batch = data!.jobOutput;
          seen.counters.push(...batch.events.map(({ counter }) => counter));
          position = batch.lastCounter;
          seen.final = batch.final;
        }
      } catch (error) {
        for (const one of Array.isArray(error) ? error : [])
          seen.errors.add(String((one as { extensions?: { code?: string } }).extensions?.code));
        await pause(100);
      } finally {
        over.signal.removeEventListener('abort', hangUp);
        await client.dispose();
      }
    }
    return seen;
  };
  const done = read();
  return { seen, done, stop: () => over.abort() };
};
