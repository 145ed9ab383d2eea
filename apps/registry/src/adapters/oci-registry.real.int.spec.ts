/** Against a real docker-registry with a password and TLS by an authority of its own. */
import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { pushImage, pushIndex, deleteManifest } from '@gantry/testkit/oci-image';
import { startRegistry, type TestRegistry } from '@gantry/testkit/registry';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseImageReference } from '../domain/image-reference.js';
import type { Login } from './oci-auth.js';
import { createRegistryClient } from './oci-registry.js';

let registry: TestRegistry;
let client: ReturnType<typeof createRegistryClient>;
let stranger: ReturnType<typeof createRegistryClient>;
let login: Login;
beforeAll(async () => {
  registry = await startRegistry();
  client = createRegistryClient({
    ca: [...rootCertificates, readFileSync(registry.caFile, 'utf8')],
    mirrors: {},
  });
  stranger = createRegistryClient({ ca: null, mirrors: {} });
  login = { ...registry.login!, verifySsl: true };
});
afterAll(async () => {
  await Promise.allSettled([client?.close(), stranger?.close()]);
  await registry?.stop();
});
const image = (rest: string) => parseImageReference(`${registry.host}/${rest}`);

describe('an image in a registry', () => {
  it('has a digest and a platform', async () => {
    const { digest } = await pushImage(registry, { repository: 'team/ee', tag: '1', architecture: 'arm64' });
    const expected = { found: true, digest, platforms: ['linux/arm64'] };
    expect(await client.lookup(image('team/ee:1'), { login })).toEqual(expected);
    expect(await client.lookup(image(`team/ee@${digest}`), { login })).toEqual(expected);
  });

  it('of several platforms has the digest of their index', async () => {
    const parts = await Promise.all(
      ['amd64', 'arm64'].map((architecture) =>
        pushImage(registry, { repository: 'team/many', architecture }),
      ),
    );
    const { digest } = await pushIndex(registry, { repository: 'team/many', tag: '1' }, parts);
    expect(await client.lookup(image('team/many:1'), { login })).toEqual({
      found: true,
      digest,
      platforms: ['linux/amd64', 'linux/arm64'],
    });
  });

  it('is another when its tag has moved', async () => {
    const repository = 'team/moving';
    const first = await pushImage(registry, { repository, tag: '1' });
    expect(await client.lookup(image('team/moving:1'), { login })).toMatchObject({ digest: first.digest });
    const second = await pushImage(registry, { repository, tag: '1' });
    expect(second.digest).not.toBe(first.digest);
    expect(await client.lookup(image('team/moving:1'), { login })).toMatchObject({ digest: second.digest });
  });

  it('that is not there is said in the words of the registry', async () => {
    const { digest } = await pushImage(registry, { repository: 'team/gone', tag: '1' });
    await deleteManifest(registry, 'team/gone', digest);
    for (const rest of ['team/none:1', 'team/gone:1', `team/gone@${digest}`])
      expect(await client.lookup(image(rest), { login })).toMatchObject({
        failure: 'not_found',
        words: '"manifest unknown" (HTTP status 404)',
      });
  });
});

describe('a registry with a password', () => {
  it.each([
    ['no login', null],
    ['a wrong password', 'guess'],
  ])('refuses %s', async (_, password) => {
    const answer = await client.lookup(image('team/ee:1'), {
      login: password === null ? null : { ...login, password },
    });
    expect(answer).toMatchObject({
      failure: 'unauthorized',
      words: '"authentication required" (HTTP status 401)',
    });
    expect(JSON.stringify(answer)).not.toContain('guess');
  });
});

describe('a registry with an authority of its own', () => {
  it('is not trusted by who does not know it, and gets no password', async () => {
    expect(await stranger.lookup(image('team/ee:1'), { login })).toMatchObject({
      failure: 'untrusted',
      words: expect.stringMatching(/not trusted \((UNABLE_TO_|SELF_SIGNED)/) as string,
    });
  });

  it('is believed when the credential says that certificates are not checked', async () => {
    const { digest } = await pushImage(registry, { repository: 'team/careless', tag: '1' });
    const careless = { ...login, verifySsl: false };
    expect(await stranger.lookup(image('team/careless:1'), { login: careless })).toMatchObject({
      found: true,
      digest,
    });
  });
});

describe('a registry that is stopped', () => {
  it('is away, and answers again when it is back', async () => {
    const { digest } = await pushImage(registry, { repository: 'team/away', tag: '1' });
    await registry.pause();
    try {
      expect(await client.lookup(image('team/away:1'), { login })).toMatchObject({
        failure: 'away',
        words: expect.stringContaining('ECONNREFUSED') as string,
      });
    } finally {
      await registry.resume();
    }
    expect(await client.lookup(image('team/away:1'), { login })).toMatchObject({ found: true, digest });
  });
});
