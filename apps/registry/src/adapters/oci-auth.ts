/**
 * How a registry lets somebody in: with a name and password, or with a token that a token server gives for them.
 * Source: https://distribution.github.io/distribution/spec/auth/token/
 */
import { createHash } from 'node:crypto';
import { isLoopback, parseObject, readLimited, type Send } from './oci-http.js';

/** A name and password for a registry. */
export interface Login {
  /** Empty: asked without a login. */
  username: string;
  password: string;
  /** False: the registry's certificate is not checked, and plain HTTP will do. */
  verifySsl: boolean;
}

/** What is being asked for. */
export interface Access {
  host: string;
  path: string;
  login: Login | null;
}

/** Remembers which door a registry has, and tokens until shortly before they end. Passwords are not kept. */
export interface Doors {
  /** The `authorization` header to try first; null for none. */
  known(access: Access): string | null;
  /** After a 401: the header to try now, by the registry's challenge; null when there is none to try. */
  open(access: Access, challenge: string | null, milliseconds: number): Promise<string | null>;
}

const answerBytes = 64 * 1024;
/** The token specification's, for a server that does not say. */
const defaultSeconds = 60;
const mostSeconds = 600;
const mostEntries = 1_000;

/** Doors of all registries. `now` in milliseconds, of any clock. */
export const createDoors = (send: Send, now: () => number = () => performance.now()): Doors => {
  // By who asks for what: another password is another key.
  const tokens = new Map<string, { header: string; until: number }>();
  const basic = new Set<string>();
  const keyOf = ({ host, path, login }: Access): string =>
    createHash('sha256')
      .update(JSON.stringify([host, path, login?.username, login?.password]))
      .digest('base64');

  const basicOf = (login: Login | null): string | null =>
    login === null || login.username === ''
      ? null
      : `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`;

  const known = (access: Access): string | null => {
    if (basic.has(access.host)) return basicOf(access.login);
    const token = tokens.get(keyOf(access));
    return token !== undefined && token.until > now() ? token.header : null;
  };

  const open = async (
    access: Access,
    challenge: string | null,
    milliseconds: number,
  ): Promise<string | null> => {
    const { host, path, login } = access;
    tokens.delete(keyOf(access));
    if (challenge !== null && /^basic\b/i.test(challenge)) {
      const header = basicOf(login);
      if (header !== null) basic.add(host);
      return header;
    }
    basic.delete(host);
    const url = tokenServer(challenge, host, path, login);
    if (url === null) return null;
    // A certificate that need not be checked is the registry's own, not that of a token server elsewhere.
    const careful = login?.verifySsl !== false || url.host !== host;
    const header = basicOf(login);
    const answer = await send(url.href, {
      headers: header === null ? {} : { authorization: header },
      careful,
      milliseconds,
    });
    const body = parseObject(await readLimited(answer, answerBytes));
    if (!answer.ok) return null;
    const token = typeof body['token'] === 'string' ? body['token'] : body['access_token'];
    if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) return null;
    const seconds = typeof body['expires_in'] === 'number' ? body['expires_in'] : defaultSeconds;
    if (tokens.size >= mostEntries) tokens.clear();
    const bearer = `Bearer ${token}`;
    tokens.set(keyOf(access), {
      header: bearer,
      until: now() + Math.min(seconds, mostSeconds) * 900,
    });
    return bearer;
  };
  return { known, open };
};

/** Where to ask for a token, from a challenge; null for a challenge that is none, or that leads to a place without TLS. */
const tokenServer = (
  challenge: string | null,
  host: string,
  path: string,
  login: Login | null,
): URL | null => {
  const parameters = challenge === null ? null : readBearer(challenge);
  const realm = parameters?.['realm'];
  if (!parameters || realm === undefined || !URL.canParse(realm)) return null;
  const url = new URL(realm);
  const plain = isLoopback(host) || (login?.verifySsl === false && url.host === host);
  if (url.protocol !== 'https:' && !(plain && url.protocol === 'http:')) return null;
  if (parameters['service'] !== undefined) url.searchParams.set('service', parameters['service']);
  url.searchParams.set('scope', parameters['scope'] ?? `repository:${path}:pull`);
  return url;
};

/** `Bearer realm="...",service="..."` as an object; null for another scheme. */
const readBearer = (challenge: string): Record<string, string> | null => {
  if (!/^bearer\s/i.test(challenge)) return null;
  return Object.fromEntries(
    [...challenge.matchAll(/([a-z]+)="([^"]*)"/gi)].map(([, name, value]) => [name!.toLowerCase(), value!]),
  );
};
