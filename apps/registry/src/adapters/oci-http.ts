/** Requests to registries: which certificates are trusted, limits, and what a failure is in words. */
import { createSecureContext } from 'node:tls';
import { Agent, fetch, type Dispatcher, type RequestInit, type Response } from 'undici';
import type { Lookup, LookupFailure } from '../domain/resolution.js';

/** Limits in milliseconds: of one request, and of a whole lookup. */
export interface LookupLimits {
  request: number;
  whole: number;
}

/** Sends one request. `careful`: the certificate must be right. */
export type Send = (
  url: string,
  init: Omit<RequestInit, 'signal' | 'dispatcher'> & { careful: boolean; milliseconds: number },
) => Promise<Response>;

// A launch soon after another one finds the connection open.
const keepAliveMilliseconds = 30_000;

/** `ca`: PEM of every authority to trust; null = those of Node.js. `close` ends idle connections. */
export const createSend = (ca: readonly string[] | null): { send: Send; close(): Promise<void> } => {
  const keepAlive = { keepAliveTimeout: keepAliveMilliseconds, keepAliveMaxTimeout: keepAliveMilliseconds };
  // Read once: reading some 150 certificates for each connection costs more than all the rest of a lookup.
  const trusted = ca === null ? {} : { secureContext: createSecureContext({ ca: [...ca] }) };
  const trusting = new Agent({ ...keepAlive, connect: trusted }).compose(keepOpen);
  const careless = new Agent({ ...keepAlive, connect: { rejectUnauthorized: false } }).compose(keepOpen);
  return {
    send: (url, { careful, milliseconds, ...init }) =>
      fetch(url, {
        ...init,
        dispatcher: careful ? trusting : careless,
        signal: AbortSignal.timeout(Math.max(0, Math.ceil(milliseconds))),
      }),
    close: async () => void (await Promise.allSettled([trusting.destroy(), careless.destroy()])),
  };
};

/** undici ends a connection after a HEAD, for servers that send a body all the same; registries are asked by HEAD above all. */
const keepOpen: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (options, handler) =>
  dispatch({ ...options, reset: false }, handler);

/** Is it this very machine? */
export const isLoopback = (host: string): boolean => /^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/.test(host);

/** A body, up to `limit` bytes. */
export const readLimited = async (answer: Response, limit: number): Promise<Buffer> => {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of answer.body ?? []) {
    size += (part as Uint8Array).byteLength;
    if (size > limit) throw new Error(`an answer of more than ${limit} bytes`);
    parts.push(part as Uint8Array);
  }
  return Buffer.concat(parts);
};

/** A JSON object; an empty one for anything else. */
export const parseObject = (body: Buffer): Record<string, unknown> => {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'));
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {};
  }
};

/** What a registry's "no" means, in its own words. */
export const refusalOf = (answer: Response, body: Buffer): Lookup => {
  const failure = failureOf(answer.status);
  const after = failure === 'rate_limited' ? retryAfter(answer.headers.get('retry-after')) : undefined;
  const wait = after === undefined ? '' : `, try again in ${Math.ceil(after / 1_000)} s`;
  const limit = failure === 'rate_limited' ? answer.headers.get('ratelimit-limit') : null;
  const rate = limit !== null && /^[\w;=, -]{1,60}$/.test(limit) ? `, limit ${limit}` : '';
  return {
    found: false,
    failure,
    words: `${wordsOf(answer.status, body)}${rate}${wait}`,
    ...(after !== undefined && { retryAfterMilliseconds: after }),
  };
};

const failureOf = (status: number): LookupFailure => {
  if (status === 401 || status === 403) return 'unauthorized';
  if (status === 404) return 'not_found';
  if (status === 429) return 'rate_limited';
  return status === 408 || status >= 500 ? 'away' : 'rejected';
};

/** Seconds or a date, as HTTP has it. */
const retryAfter = (header: string | null): number | undefined => {
  if (header === null) return undefined;
  const milliseconds = /^\d{1,9}$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now();
  return Number.isFinite(milliseconds) ? Math.max(0, milliseconds) : undefined;
};

const wordsOf = (status: number, body: Buffer): string => {
  const { errors } = parseObject(body);
  const texts = (Array.isArray(errors) ? (errors as unknown[]) : []).flatMap((error) => {
    const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
    return [message ?? code].filter((text) => typeof text === 'string');
  });
  // Somebody else's text: one line, not too long.
  const text = texts
    .join('; ')
    .replace(/[^\x20-\x7e]+/g, ' ')
    .slice(0, 300);
  return text === '' ? `HTTP status ${status}` : `"${text}" (HTTP status ${status})`;
};

/** Node's or OpenSSL's code of a request that failed; empty for none. */
export const codeOf = (error: unknown): string => {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof AggregateError && cause.errors.length > 0)
    return codeOf({ cause: cause.errors[0] as unknown });
  const code = cause ?? (error as { cause?: unknown }).cause;
  return typeof code === 'object' && code !== null && 'code' in code ? String(code.code) : '';
};

const untrusted = /^(CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|ERR_TLS_CERT)/;

/** What went wrong on the way to a registry. */
export const describeFailure = (error: unknown, host: string, patience: number): Lookup => {
  const code = codeOf(error);
  if (untrusted.test(code)) {
    return {
      found: false,
      failure: 'untrusted',
      words: `the TLS certificate of ${host} is not trusted (${code})`,
    };
  }
  if (error instanceof Error && error.name === 'TimeoutError') {
    return {
      found: false,
      failure: 'away',
      words: `${host} did not answer within ${Math.max(1, Math.round(patience / 1_000))} s`,
    };
  }
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const why = code || (cause instanceof Error ? cause.message : 'unknown');
  return { found: false, failure: 'away', words: `${host} cannot be reached (${why})` };
};
