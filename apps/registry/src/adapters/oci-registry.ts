/**
 * Asks an image's registry what a tag means, by the OCI distribution API.
 * Source: https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md; token flow:
 * https://distribution.github.io/distribution/spec/auth/token/
 */
import { createHash } from 'node:crypto';
import type { ImageReference } from '../domain/image-reference.js';

/** Why there is no digest. `away`: nobody answered, or only to say "later"; trying again may help. */
export type LookupFailure = 'away' | 'unauthorized' | 'not_found' | 'untrusted' | 'rejected';

/** What a lookup gave. `words` are the registry's own, or what happened on the way to it. */
export type Lookup =
  { found: true; digest: string } | { found: false; failure: LookupFailure; words: string };

/** A name and password for a registry. */
export interface RegistryLogin {
  username: string;
  password: string;
}

/** Looks an image's digest up. Never throws for what the network or the registry does. */
export type LookupDigest = (image: ImageReference, login?: RegistryLogin) => Promise<Lookup>;

/** Limits in milliseconds: of one request, and of the whole lookup. */
export interface LookupLimits {
  request: number;
  whole: number;
}

// Without the OCI types a registry says "not found" about an OCI image (seen with docker-registry 2.8).
const manifestTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');
const mostBytes = { manifest: 4 * 1024 * 1024, answer: 64 * 1024 };
const digestPattern = /^(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/;

/** A lookup over fetch. */
export const createLookup =
  (limits: LookupLimits = { request: 10_000, whole: 20_000 }): LookupDigest =>
  async (image, login) => {
    const session = createSession(image, login, limits);
    try {
      return await session.lookup();
    } catch (error) {
      return describeFailure(error, image.domain, limits);
    }
  };

const createSession = (
  { domain, path, tag, digest }: ImageReference,
  login: RegistryLogin | undefined,
  limits: LookupLimits,
) => {
  const host = domain === 'docker.io' ? 'registry-1.docker.io' : domain;
  const loopback = isLoopback(host);
  const whole = performance.now() + limits.whole;
  let scheme = 'https';
  let authorization: string | null = null;

  const send = (url: string, init: RequestInit): Promise<Response> => {
    const left = Math.max(0, Math.ceil(whole - performance.now()));
    return fetch(url, { ...init, signal: AbortSignal.timeout(Math.min(left, limits.request)) });
  };

  const request = async (method: 'HEAD' | 'GET'): Promise<Response> => {
    const ask = (): Promise<Response> =>
      send(`${scheme}://${host}/v2/${path}/manifests/${digest ?? tag ?? 'latest'}`, {
        method,
        headers: { accept: manifestTypes, ...(authorization === null ? {} : { authorization }) },
      });
    try {
      return await ask();
    } catch (error) {
      // As container engines do: a registry on this very machine may speak plain HTTP, another may not.
      if (!loopback || scheme === 'http' || !codeOf(error).startsWith('ERR_SSL')) throw error;
      scheme = 'http';
      return ask();
    }
  };

  const authenticate = async (challenge: string | null): Promise<boolean> => {
    const basic = login
      ? `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`
      : null;
    if (challenge !== null && /^basic\b/i.test(challenge)) {
      authorization = basic;
      return basic !== null;
    }
    const parameters = challenge === null ? null : readBearer(challenge);
    const realm = parameters?.['realm'];
    if (!parameters || realm === undefined || !URL.canParse(realm)) return false;
    const url = new URL(realm);
    if (url.protocol !== 'https:' && !(loopback && url.protocol === 'http:')) return false;
    if (parameters['service'] !== undefined) url.searchParams.set('service', parameters['service']);
    url.searchParams.set('scope', parameters['scope'] ?? `repository:${path}:pull`);
    const answer = await send(url.href, { headers: basic === null ? {} : { authorization: basic } });
    const body = await readLimited(answer, mostBytes.answer);
    if (!answer.ok) return false;
    const { token, access_token: accessToken } = parseObject(body);
    const bearer = typeof token === 'string' ? token : accessToken;
    if (typeof bearer !== 'string' || !/^[\x21-\x7e]+$/.test(bearer)) return false;
    authorization = `Bearer ${bearer}`;
    return true;
  };

  const lookup = async (): Promise<Lookup> => {
    let answer = await request('HEAD');
    if (answer.status === 401 && (await authenticate(answer.headers.get('www-authenticate'))))
      answer = await request('HEAD');
    const told = answer.headers.get('docker-content-digest');
    if (answer.ok && told !== null && digestPattern.test(told)) return { found: true, digest: told };
    // No digest in the header, or no: the body has it, or the words.
    answer = await request('GET');
    const body = await readLimited(answer, answer.ok ? mostBytes.manifest : mostBytes.answer);
    if (answer.ok)
      return { found: true, digest: `sha256:${createHash('sha256').update(body).digest('hex')}` };
    return { found: false, failure: failureOf(answer.status), words: wordsOf(answer.status, body) };
  };
  return { lookup };
};

const failureOf = (status: number): LookupFailure => {
  if (status === 401 || status === 403) return 'unauthorized';
  if (status === 404) return 'not_found';
  return status === 408 || status === 429 || status >= 500 ? 'away' : 'rejected';
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

const parseObject = (body: Buffer): Record<string, unknown> => {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'));
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {};
  }
};

/** `Bearer realm="...",service="..."` as an object; null for another scheme. */
const readBearer = (challenge: string): Record<string, string> | null => {
  if (!/^bearer\s/i.test(challenge)) return null;
  return Object.fromEntries(
    [...challenge.matchAll(/([a-z]+)="([^"]*)"/gi)].map(([, name, value]) => [name!.toLowerCase(), value!]),
  );
};

const readLimited = async (answer: Response, limit: number): Promise<Buffer> => {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of answer.body ?? []) {
    size += (part as Uint8Array).byteLength;
    if (size > limit) throw new Error(`an answer of more than ${limit} bytes`);
    parts.push(part as Uint8Array);
  }
  return Buffer.concat(parts);
};

const isLoopback = (host: string): boolean => /^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/.test(host);

const codeOf = (error: unknown): string => {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof AggregateError && cause.errors.length > 0)
    return codeOf({ cause: cause.errors[0] as unknown });
  const code = cause ?? (error as { cause?: unknown }).cause;
  return typeof code === 'object' && code !== null && 'code' in code ? String(code.code) : '';
};

const untrusted = /^(CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|ERR_TLS_CERT)/;

const describeFailure = (error: unknown, domain: string, limits: LookupLimits): Lookup => {
  const code = codeOf(error);
  if (untrusted.test(code))
    return { found: false, failure: 'untrusted', words: `its TLS certificate is not trusted (${code})` };
  if (error instanceof Error && error.name === 'TimeoutError') {
    return {
      found: false,
      failure: 'away',
      words: `${domain} did not answer within ${Math.round(limits.request / 1_000)} s`,
    };
  }
  const why = code || (error instanceof Error ? error.message : 'unknown');
  return { found: false, failure: 'away', words: `${domain} cannot be reached (${why})` };
};
