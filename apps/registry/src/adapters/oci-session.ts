/** Talking to one registry about one image: the right scheme, and let in when it asks who is there. */
import type { Response } from 'undici';
import { createDoors, type Login } from './oci-auth.js';
import { codeOf, isLoopback, type LookupLimits, type Send } from './oci-http.js';

/** Asks for something below the image's path, `manifests/latest`. Throws what the network does. */
export type Ask = (method: 'HEAD' | 'GET', rest: string, accept: string) => Promise<Response>;

/** Opens a session with a registry or mirror, for one image, in one lookup. */
export type OpenSession = (host: string, path: string, login: Login | null, limits: LookupLimits) => Ask;

/** Sessions share what is known of registries: tokens, doors, and which of them speak plain HTTP. */
export const createSessions = (send: Send): OpenSession => {
  const doors = createDoors(send);
  const plainHttp = new Set<string>();

  return (host, path, login, limits) => {
    const ends = performance.now() + limits.whole;
    const left = (): number => Math.min(limits.request, ends - performance.now());
    const access = { host, path, login };
    // As container engines do: a registry on this very machine may speak plain HTTP, and one whose certificate does not matter.
    const mayBePlain = isLoopback(host) || login?.verifySsl === false;
    let authorization = doors.known(access);

    const once = async (method: 'HEAD' | 'GET', rest: string, accept: string): Promise<Response> => {
      const ask = (scheme: 'http' | 'https'): Promise<Response> =>
        send(`${scheme}://${host}/v2/${path}/${rest}`, {
          method,
          headers: { accept, ...(authorization === null ? {} : { authorization }) },
          careful: login?.verifySsl !== false,
          milliseconds: left(),
        });
      const plain = mayBePlain && plainHttp.has(host);
      try {
        return await ask(plain ? 'http' : 'https');
      } catch (error) {
        // It may speak TLS the next time.
        if (plain) plainHttp.delete(host);
        if (plain || !mayBePlain || !codeOf(error).startsWith('ERR_SSL')) throw error;
        plainHttp.add(host);
        return ask('http');
      }
    };

    return async (method, rest, accept) => {
      const answer = await once(method, rest, accept);
      if (answer.status !== 401) return answer;
      const opened = await doors.open(access, answer.headers.get('www-authenticate'), left());
      if (opened === null || opened === authorization) return answer;
      await answer.body?.cancel();
      authorization = opened;
      return once(method, rest, accept);
    };
  };
};
