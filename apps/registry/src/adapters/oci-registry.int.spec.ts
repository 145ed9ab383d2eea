import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { parseImageReference } from '../domain/image-reference.js';
import { createRegistryClient, type LookupImage } from './oci-registry.js';

// A registry's side of the wire as the distribution specification has it, spoken over real HTTP.
const manifest = JSON.stringify({
  schemaVersion: 2,
  mediaType: 'application/vnd.oci.image.index.v1+json',
  manifests: [],
});
const digest = `sha256:${createHash('sha256').update(manifest).digest('hex')}`;
const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

interface Seen {
  method: string;
  url: string;
  authorization: string | null;
  accept: string;
}
const listen = async (answer: (request: IncomingMessage, response: ServerResponse, host: string) => void) => {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request;
    seen.push({ method, url, authorization: headers.authorization ?? null, accept: headers.accept ?? '' });
    answer(request, response, host);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { host, seen, image: (rest: string) => parseImageReference(`${host}/${rest}`) };
};
// Tokens and doors are remembered by host and port: each test has a registry of its own.
const { lookup, close } = createRegistryClient({ ca: null, mirrors: {} });
afterAll(close);
const login = { username: 'me', password: 'pass', verifySsl: true };
const refuse = (
  response: ServerResponse,
  status: number,
  code: string,
  message: string,
  headers: Record<string, string> = {},
): void =>
  void response
    .writeHead(status, { 'content-type': 'application/json', ...headers })
    .end(JSON.stringify({ errors: [{ code, message }] }));
const withDigest = (response: ServerResponse): void =>
  void response.writeHead(200, { 'docker-content-digest': digest }).end();

describe('a registry that is open', () => {
  it('is asked once about what is known, with every manifest type', async () => {
    const registry = await listen((_request, response) => withDigest(response));
    const known = { digest, platforms: ['linux/amd64'] };
    const answer = await lookup(registry.image('ansible/ee:1'), { known });
    expect(answer).toEqual({ found: true, ...known });
    expect(registry.seen).toEqual([
      {
        method: 'HEAD',
        url: '/v2/ansible/ee/manifests/1',
        authorization: null,
        accept: expect.stringMatching(
          /oci\.image\.index.*oci\.image\.manifest.*manifest\.list.*distribution\.manifest\.v2/,
        ) as string,
      },
    ]);
  });

  it('and tells no digest has its manifest hashed', async () => {
    const registry = await listen(
      (request, response) =>
        void response.writeHead(200).end(request.method === 'GET' ? manifest : undefined),
    );
    expect(await lookup(registry.image('ee'))).toMatchObject({ found: true, digest });
    expect(registry.seen.map(({ method, url }) => `${method} ${url}`)).toEqual([
      'HEAD /v2/ee/manifests/latest',
      'GET /v2/ee/manifests/latest',
    ]);
  });

  it('and says no is quoted', async () => {
    const registry = await listen((_request, response) =>
      refuse(response, 404, 'MANIFEST_UNKNOWN', 'manifest unknown'),
    );
    expect(await lookup(registry.image('ee:nope'))).toEqual({
      found: false,
      failure: 'not_found',
      words: '"manifest unknown" (HTTP status 404)',
    });
  });

  it('and is asked too often says how long to wait', async () => {
    const registry = await listen((_request, response) =>
      refuse(response, 429, 'TOOMANYREQUESTS', 'slow\u001b[31m down', {
        'retry-after': '90',
        'ratelimit-limit': '100;w=21600',
      }),
    );
    expect(await lookup(registry.image('ee:1'))).toEqual({
      found: false,
      failure: 'rate_limited',
      words: '"slow [31m down" (HTTP status 429), limit 100;w=21600, try again in 90 s',
      retryAfterMilliseconds: 90_000,
    });
  });

  it('and is overloaded counts as away', async () => {
    const registry = await listen((_request, response) => refuse(response, 503, 'UNAVAILABLE', 'later'));
    expect(await lookup(registry.image('ee:1'))).toMatchObject({ failure: 'away' });
  });

  it('and sends more than anybody has to say is cut off', async () => {
    const registry = await listen(
      (_request, response) => void response.writeHead(404).end('x'.repeat(200_000)),
    );
    expect(await lookup(registry.image('ee:1'))).toMatchObject({
      found: false,
      words: expect.stringContaining('more than') as string,
    });
  });
});

describe('a registry with tokens', () => {
  const tokens = (realmOf: (host: string) => string = (host) => `http://${host}/token`) =>
    listen((request, response, host) => {
      if (request.url?.startsWith('/token')) {
        const allowed =
          request.url.includes('public') ||
          request.headers.authorization === `Basic ${Buffer.from('me:pass').toString('base64')}`;
        if (allowed) response.end(JSON.stringify({ token: 'granted' }));
        else refuse(response, 401, 'UNAUTHORIZED', 'who are you');
      } else if (request.headers.authorization === 'Bearer granted') withDigest(response);
      else {
        const scope = `repository:${request.url!.split('/manifests')[0]!.slice(4)}:pull`;
        refuse(response, 401, 'UNAUTHORIZED', 'authentication required', {
          'www-authenticate': `Bearer realm="${realmOf(host)}",service="reg",scope="${scope}"`,
        });
      }
    });

  it('gives one to anybody for a public image', async () => {
    const registry = await tokens();
    expect(await lookup(registry.image('public/ee:1'))).toMatchObject({ found: true, digest });
    expect(registry.seen[1]!.url).toBe('/token?service=reg&scope=repository%3Apublic%2Fee%3Apull');
  });

  it('gives one to a login for a private image', async () => {
    const registry = await tokens();
    expect(await lookup(registry.image('secret/ee:1'))).toEqual({
      found: false,
      failure: 'unauthorized',
      words: '"authentication required" (HTTP status 401)',
    });
    expect(await lookup(registry.image('secret/ee:1'), { login })).toMatchObject({ found: true, digest });
  });

  it('is asked for one token for many questions, and for another with another password', async () => {
    const registry = await tokens();
    const known = { digest, platforms: [] };
    for (let turn = 0; turn < 3; turn++)
      expect(await lookup(registry.image('secret/ee:1'), { login, known })).toMatchObject({ found: true });
    expect(registry.seen.map(({ url }) => url.split('?')[0])).toEqual([
      '/v2/secret/ee/manifests/1',
      '/token',
      '/v2/secret/ee/manifests/1',
      '/v2/secret/ee/manifests/1',
      '/v2/secret/ee/manifests/1',
    ]);
    const wrong = { ...login, password: 'guess' };
    expect(await lookup(registry.image('secret/ee:1'), { login: wrong, known })).toMatchObject({
      failure: 'unauthorized',
    });
  });

  it('is not followed to a realm without TLS elsewhere', async () => {
    const registry = await tokens(() => 'ftp://example.invalid/token');
    expect(await lookup(registry.image('public/ee:1'), { login })).toMatchObject({
      failure: 'unauthorized',
    });
  });
});

describe('a registry with passwords', () => {
  it('gets the login', async () => {
    const registry = await listen((request, response) => {
      if (request.headers.authorization === `Basic ${Buffer.from('me:pass').toString('base64')}`)
        withDigest(response);
      else
        refuse(response, 401, 'UNAUTHORIZED', 'authentication required', {
          'www-authenticate': 'Basic realm="ee"',
        });
    });
    expect(await lookup(registry.image('ee:1'))).toMatchObject({ failure: 'unauthorized' });
    expect(await lookup(registry.image('ee:1'), { login })).toMatchObject({ found: true, digest });
  });
});

describe('a mirror', () => {
  const mirrored = async (answer: (response: ServerResponse) => void) => {
    const mirror = await listen((_request, response) => answer(response));
    const registry = await listen((request, response) =>
      request.headers.authorization === undefined
        ? refuse(response, 401, 'UNAUTHORIZED', 'who are you', { 'www-authenticate': 'Basic realm="ee"' })
        : withDigest(response),
    );
    const client = createRegistryClient({ ca: null, mirrors: { [registry.host]: [mirror.host] } });
    const answered = await client.lookup(registry.image('ee:1'), { login, known: { digest, platforms: [] } });
    await client.close();
    return { mirror, registry, answered };
  };

  it('is asked first, without the login, and its answer will do', async () => {
    const { mirror, registry, answered } = await mirrored(withDigest);
    expect(answered).toMatchObject({ found: true, digest });
    expect(mirror.seen.map(({ authorization }) => authorization)).toEqual([null]);
    expect(registry.seen).toEqual([]);
  });

  it('that does not have it, or wants to know who asks, is passed over', async () => {
    const none = await mirrored((response) => refuse(response, 404, 'MANIFEST_UNKNOWN', 'no'));
    const curious = await mirrored((response) =>
      refuse(response, 401, 'UNAUTHORIZED', 'who', { 'www-authenticate': 'Basic realm="mirror"' }),
    );
    for (const { mirror, registry, answered } of [none, curious]) {
      expect(answered).toMatchObject({ found: true, digest });
      expect(mirror.seen.every(({ authorization }) => authorization === null)).toBe(true);
      expect(registry.seen.at(-1)!.authorization).toMatch(/^Basic /);
    }
  });
});

describe('a mirror that is away', () => {
  it('is passed over, and left alone for a while', async () => {
    const mirror = await listen((_request, response) => refuse(response, 503, 'UNAVAILABLE', 'later'));
    const registry = await listen((_request, response) => withDigest(response));
    const client = createRegistryClient({ ca: null, mirrors: { [registry.host]: [mirror.host] } });
    const known = { digest, platforms: [] };
    await client.lookup(registry.image('ee:1'), { known });
    const asked = mirror.seen.length;
    expect(await client.lookup(registry.image('ee:1'), { known })).toMatchObject({ found: true });
    expect(mirror.seen.length).toBe(asked);
    expect(registry.seen.length).toBe(2);
    await client.close();
  });
});

describe('a registry that is not there', () => {
  it('is away: nobody listens, nobody answers, no such name', async () => {
    const registry = await listen(() => undefined);
    const impatient: LookupImage = (image) => lookup(image, { limits: { request: 200, whole: 500 } });
    expect(await impatient(registry.image('ee:1'))).toMatchObject({
      found: false,
      failure: 'away',
      words: expect.stringContaining('did not answer') as string,
    });
    expect(await lookup(parseImageReference('127.0.0.1:1/ee:1'))).toMatchObject({
      found: false,
      failure: 'away',
      words: expect.stringContaining('cannot be reached') as string,
    });
    expect(await lookup(parseImageReference('registry.invalid/ee:1'))).toMatchObject({
      found: false,
      failure: 'away',
      words: expect.stringContaining('registry.invalid') as string,
    });
  });
});
