import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PullProgress } from '@gantry/contracts/job';
import { deleteManifest, pushImage, pushIndex } from '@gantry/testkit/oci-image';
import { startRegistry, type TestRegistry } from '@gantry/testkit/registry';
import { createTestCa } from '@gantry/testkit/test-ca';
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PodDriver, RegistryLogin, WantedImage } from '../pod/driver.js';
import { startEngine, type TestEngine } from '../testing/engine.js';
import { createContainerDriver } from './container-engine.js';

let folder: string;
let registry: TestRegistry;
let stranger: TestRegistry;
let engine: TestEngine;
const pulled = new Set<string>();

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gantry-images-'));
  const ca = createTestCa(folder);
  [registry, stranger] = await Promise.all([startRegistry({ ca }), startRegistry()]);
  // As a person would put it among the certificates of the machine; the second registry's they do not.
  const trusted = mkdtempSync(join(folder, 'trusted-'));
  copyFileSync(ca.certificateFile, join(trusted, 'ca.pem'));
  engine = await startEngine({ SSL_CERT_DIR: `${trusted}:/etc/ssl/certs` });
});
afterAll(async () => {
  const docker = new Docker({ socketPath: engine.host.replace('unix://', '') });
  for (const reference of pulled)
    await docker
      .getImage(reference)
      .remove()
      .catch(() => undefined);
  await Promise.allSettled([engine?.stop(), registry?.stop(), stranger?.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

interface Told {
  pulls: number;
  logins: number;
  progress: PullProgress[];
}
const ensure = async (
  wanted: Partial<WantedImage> & { image: string },
  options: {
    login?: RegistryLogin | null | (() => Promise<RegistryLogin>);
    signal?: AbortSignal;
    driver?: PodDriver;
  } = {},
) => {
  const told: Told = { pulls: 0, logins: 0, progress: [] };
  const full = { digest: null, pull: 'missing' as const, ...wanted };
  const driver = options.driver ?? createContainerDriver(engine.host);
  const ready = await driver.ensureImage(full, {
    login: async () => {
      told.logins += 1;
      if (typeof options.login === 'function') return options.login();
      return options.login === undefined ? registry.login : options.login;
    },
    onPull: () => (told.pulls += 1),
    onProgress: (progress) => told.progress.push(progress),
    signal: options.signal ?? new AbortController().signal,
  });
  if (ready.pulled) pulled.add(ready.reference);
  return { ...ready, ...told };
};
const refusal = (reason: string, words: RegExp) => ({
  code: 'refused',
  details: { reason },
  message: expect.stringMatching(words),
});

describe('an image of a registry with a password and a CA of its own', () => {
  it('is pulled by its digest with the login, and found there afterwards without', async () => {
    const { digest } = await pushImage(registry, { repository: 'team/ee', tag: '1' });
    const wanted = { image: `${registry.host}/team/ee:1`, digest };
    expect(await ensure(wanted)).toMatchObject({ digest, pulled: true, pulls: 1, logins: 1 });
    expect(await ensure(wanted)).toMatchObject({ digest, pulled: false, pulls: 0, logins: 0 });
    await registry.pause();
    const again = await ensure({ ...wanted, pull: 'always' });
    await registry.resume();
    expect(again).toMatchObject({ digest, pulled: false, pulls: 0 });
  });

  it('stays what it was when its tag moves: each digest is its own image', async () => {
    const image = `${registry.host}/team/moved:1`;
    const first = await pushImage(registry, { repository: 'team/moved', tag: '1' });
    const one = await ensure({ image, digest: first.digest });
    const second = await pushImage(registry, { repository: 'team/moved', tag: '1' });
    const two = await ensure({ image, digest: second.digest });
    expect(two.reference).not.toBe(one.reference);
    expect(await ensure({ image, digest: first.digest })).toMatchObject({
      pulled: false,
      reference: one.reference,
    });
  });

  it('is fetched once for all who want it at the same time, and each with a login of its own', async () => {
    const { digest } = await pushImage(registry, { repository: 'team/many', tag: '1' });
    const wanted = { image: `${registry.host}/team/many:1`, digest };
    const driver = createContainerDriver(engine.host);
    let refused: Promise<unknown> = Promise.resolve();
    await new Promise<void>((resolve) => {
      const login = async (): Promise<RegistryLogin> => {
        resolve();
        return { username: registry.login!.username, password: 'wrong' };
      };
      refused = ensure(wanted, { driver, login }).catch((error: unknown) => error);
    });
    const ready = await Promise.all([1, 2, 3].map(() => ensure(wanted, { driver })));
    expect(await refused).toMatchObject(refusal('image_unauthorized', /authentication required/));
    expect(ready.filter(({ logins }) => logins === 1)).toHaveLength(1);
    expect(ready.filter(({ pulls }) => pulls === 1)).toHaveLength(3);
    pulled.add(`${registry.host}/team/many@${digest}`);
  });

  it('tells its layers while it comes', async () => {
    const { digest } = await pushImage(registry, { repository: 'team/ee' });
    const { progress, sizeBytes } = await ensure({ image: `${registry.host}/team/ee:2`, digest });
    expect(progress.at(-1)).toMatchObject({ layers: 2, layersDone: 2 });
    expect(sizeBytes).toBeGreaterThan(0);
  });
});

describe('an image that cannot be had says why, in the words of its registry', () => {
  const none = `sha256:${'0'.repeat(64)}`;

  it('without a login, and with a wrong one', async () => {
    const { digest } = await pushImage(registry, { repository: 'team/closed', tag: '1' });
    const wanted = { image: `${registry.host}/team/closed:1`, digest };
    for (const login of [null, { username: registry.login!.username, password: 'wrong' }]) {
      await expect(ensure(wanted, { login })).rejects.toMatchObject(
        refusal('image_unauthorized', /authentication required/),
      );
    }
  });

  it('when the tag, the digest or the repository is not there', async () => {
    for (const wanted of [
      { image: `${registry.host}/team/ee:nope` },
      { image: `${registry.host}/team/ee:1`, digest: none },
      { image: `${registry.host}/no/such:1` },
    ])
      await expect(ensure(wanted)).rejects.toMatchObject(refusal('image_not_found', /manifest unknown/));
    const gone = await pushImage(registry, { repository: 'team/gone', tag: '1' });
    await deleteManifest(registry, 'team/gone', gone.digest);
    await expect(
      ensure({ image: `${registry.host}/team/gone:1`, digest: gone.digest }),
    ).rejects.toMatchObject(refusal('image_not_found', /manifest unknown/));
  });

  it('when the engine does not know the CA', async () => {
    const { digest } = await pushImage(stranger, { repository: 'team/ee', tag: '1' });
    await expect(
      ensure({ image: `${stranger.host}/team/ee:1`, digest }, { login: stranger.login }),
    ).rejects.toMatchObject(refusal('image_registry_untrusted', /x509/));
  });

  it('when the registry is stopped', async () => {
    await stranger.pause();
    await expect(ensure({ image: `${stranger.host}/team/ee:1`, digest: none })).rejects.toMatchObject(
      refusal('image_registry_unreachable', /connection refused/),
    );
    await stranger.resume();
  });

  it('when it is made for another platform: in an index without ours, and alone: then it does not stay', async () => {
    const riscv = await pushImage(registry, { repository: 'team/riscv', tag: '1', architecture: 'riscv64' });
    const index = await pushIndex(registry, { repository: 'team/riscv', tag: 'index' }, [riscv]);
    await expect(
      ensure({ image: `${registry.host}/team/riscv:index`, digest: index.digest }),
    ).rejects.toMatchObject(refusal('image_wrong_platform', /no image found in image index/));
    const alone = { image: `${registry.host}/team/riscv:1`, digest: riscv.digest };
    await expect(ensure(alone)).rejects.toMatchObject(
      refusal('image_wrong_platform', /made for linux\/riscv64/),
    );
    expect(await createContainerDriver(engine.host).findImage(alone)).toBeNull();
  });

  it('when it is not an image', async () => {
    await expect(ensure({ image: 'localhost:1/UPPER/case:1' })).rejects.toMatchObject({ code: 'refused' });
  });
});

describe('an image that is removed', () => {
  it('is gone, unless a container uses it', async () => {
    const driver = createContainerDriver(engine.host);
    const { digest } = await pushImage(registry, { repository: 'team/old', tag: '1' });
    const reference = `${registry.host}/team/old@${digest}`;
    await ensure({ image: `${registry.host}/team/old:1`, digest });
    const docker = new Docker({ socketPath: engine.host.replace('unix://', '') });
    const container = await docker.createContainer({ Image: reference, Cmd: ['/none'] });
    await expect(driver.removeImage(reference)).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringMatching(/in use|using/),
    });
    await container.remove();
    expect(await driver.removeImage(reference)).toBe('removed');
    expect(await driver.removeImage(reference)).toBe('gone');
    expect(await driver.findImage({ image: `${registry.host}/team/old:1`, digest })).toBeNull();
  });
});

describe('a pull that is given up', () => {
  let server: Server;
  const held: Socket[] = [];
  afterAll(() => {
    held.forEach((socket) => socket.destroy());
    server?.close();
  });

  it('ends at once', async () => {
    // A registry that takes the connection and says nothing.
    const asked = new Promise<void>((resolve) => {
      server = createServer((socket) => {
        held.push(socket);
        resolve();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const leave = new AbortController();
    const waiting = ensure({ image: `${host}/team/ee:1` }, { login: null, signal: leave.signal });
    waiting.catch(() => undefined);
    await asked;
    leave.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
  });
});
