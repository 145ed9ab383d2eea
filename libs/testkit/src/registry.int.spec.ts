import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deleteManifest, pushImage, pushIndex } from './oci-image.js';
import { startRegistry, type TestRegistry } from './registry.js';

let registry: TestRegistry;
beforeAll(async () => {
  registry = await startRegistry();
});
afterAll(() => registry?.stop());

const accept = ['application/vnd.oci.image.index.v1+json', 'application/vnd.oci.image.manifest.v1+json'].join(
  ', ',
);
const ask = (reference: string, options: { login?: boolean; ca?: boolean } = {}) =>
  new Promise<{ status: number; digest: unknown }>((resolve, reject) => {
    const { login = true, ca = true } = options;
    request(`https://${registry.host}/v2/team/ee/manifests/${reference}`, {
      method: 'HEAD',
      agent: false,
      headers: { accept },
      ...(ca ? { ca: readFileSync(registry.caFile) } : {}),
      ...(login ? { auth: `${registry.login!.username}:${registry.login!.password}` } : {}),
    })
      .on('response', ({ statusCode, headers }) =>
        resolve({ status: statusCode ?? 0, digest: headers['docker-content-digest'] }),
      )
      .on('error', reject)
      .end();
  });

describe('a registry', () => {
  it('keeps images by tag and digest, for who has its password and trusts its authority', async () => {
    const amd64 = await pushImage(registry, { repository: 'team/ee', tag: 'one' });
    const riscv = await pushImage(registry, { repository: 'team/ee', architecture: 'riscv64' });
    const index = await pushIndex(registry, { repository: 'team/ee', tag: 'both' }, [amd64, riscv]);
    expect(await ask('one')).toEqual({ status: 200, digest: amd64.digest });
    expect(await ask('both')).toEqual({ status: 200, digest: index.digest });
    expect(await ask(riscv.digest)).toEqual({ status: 200, digest: riscv.digest });
    expect(await ask('one', { login: false })).toMatchObject({ status: 401 });
    await expect(ask('one', { ca: false })).rejects.toThrow(/certificate/);
    await deleteManifest(registry, 'team/ee', riscv.digest);
    expect(await ask(riscv.digest)).toMatchObject({ status: 404 });
    expect(registry.log()).toContain('/v2/team/ee/manifests/one');
  });

  it('goes away and comes back with what it had', async () => {
    const { digest } = await pushImage(registry, { repository: 'team/ee', tag: 'kept' });
    await registry.pause();
    await expect(ask('kept')).rejects.toThrow(/ECONNREFUSED/);
    await registry.resume();
    expect(await ask('kept')).toEqual({ status: 200, digest });
  });
});
