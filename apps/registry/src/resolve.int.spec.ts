/** What images mean, with a real docker-registry that wants a password. */
import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import type { OrganizationRole } from '@gantry/contracts/access';
import {
  ChangeExecutionEnvironment,
  CheckImage,
  ListDigestHistory,
  LookUpDigest,
  MakeDefaultExecutionEnvironment,
  NoteDigest,
  ResolveExecutionEnvironment,
} from '@gantry/contracts/ee';
import { newId } from '@gantry/service/context';
import { testPrincipal } from '@gantry/service/testing';
import { eventually } from '@gantry/testkit/eventually';
import { startNats } from '@gantry/testkit/nats';
import { pushImage } from '@gantry/testkit/oci-image';
import { freshDatabase } from '@gantry/testkit/postgres';
import { startRegistry, type TestRegistry } from '@gantry/testkit/registry';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seedIds } from './seed.js';
import { createWorld, type World } from './testing/world.js';

const digest = (n: number): string => `sha256:${String(n).repeat(64)}`;
const credentialId = newId();
let world: World;
let images: TestRegistry;
let asAdmin: pg.Client;
let registries: { ca: string[]; mirrors: Record<string, string[]> };

beforeAll(async () => {
  const [database, nats] = await Promise.all([freshDatabase(), startNats()]);
  [world, images] = await Promise.all([createWorld({ database, nats }), startRegistry()]);
  registries = { ca: [...rootCertificates, readFileSync(images.caFile, 'utf8')], mirrors: {} };
  world.logins.set(credentialId, {
    host: images.host,
    ...images.login!,
    organizationId: world.organizationId,
  });
  asAdmin = new pg.Client({ connectionString: world.adminUrl });
  await asAdmin.connect();
  await world.start({ registries, seed: { localImage: 'localhost/gantry-ee:1', defaultIs: 'local' } });
});
afterAll(async () => {
  await asAdmin?.end();
  await images?.stop();
  await world?.close();
});

const push = async (tag: string, architecture = 'amd64'): Promise<string> =>
  (await pushImage(images, { repository: 'team/ee', tag, architecture })).digest;
const create = (tag: string, more: Parameters<World['create']>[1] = {}) =>
  world.create(`${images.host}/team/ee${tag}`, { credentialId, ...more });
const history = async (id: string) =>
  (await world.gateway.call(ListDigestHistory, { id }, { principal: world.superuser })).items.map(
    ({ node }) => node,
  );
/** How often the registry was asked. */
const asked = (): number => (images.log().match(/"(?:GET|HEAD) \/v2\//g) ?? []).length;

describe('the execution environment of a job', () => {
  it('is what the first candidate names, and the reason is said', async () => {
    const id = await world.create('localhost/ee:1');
    for (const [from, reason] of [
      ['launch', 'the launch names it'],
      ['job_template', 'the job template names it'],
      ['project', 'the default of the project'],
      ['organization', 'the default of the organization'],
      ['inventory_organization', "the default of the inventory's organization"],
    ] as const)
      expect(await world.resolve(id, undefined, { from })).toMatchObject({ id, from, reason });
  });

  it('is the default of the installation when nothing names one, and the first global one without that', async () => {
    expect(await world.resolve(null)).toMatchObject({
      id: seedIds.local,
      from: 'setting',
      reason: 'the default of this installation',
      resolution: 'local',
      digest: null,
    });
    await asAdmin.query('update registry.execution_environment set is_default = false');
    const first = await world.create('localhost/first:1', { name: 'AAA' });
    await world.create('localhost/own:1', { name: 'AA', organizationId: world.organizationId });
    expect(await world.resolve(null)).toMatchObject({ id: first, from: 'global' });
    const principal = world.superuser;
    await world.gateway.call(MakeDefaultExecutionEnvironment, { id: seedIds.local }, { principal });
  });

  it("may be another organization's for who may use it there, or as that organization's default", async () => {
    const elsewhere = newId();
    const id = await world.create(`quay.io/team/ee@${digest(3)}`, {
      organizationId: elsewhere,
      pull: 'never',
    });
    const user = (...roles: OrganizationRole[]) =>
      testPrincipal({ organizations: { [elsewhere]: roles, [world.organizationId]: ['execute'] } });
    expect(await world.resolve(id, user('use'))).toMatchObject({ id });
    await expect(world.resolve(id, user('read'))).rejects.toMatchObject({ code: 'forbidden' });
    await expect(world.resolve(id)).rejects.toMatchObject({ code: 'not_found' });
    await expect(world.resolve(newId())).rejects.toMatchObject({ code: 'not_found' });
    const candidate = { from: 'inventory_organization', organizationId: elsewhere } as const;
    expect(await world.resolve(id, undefined, candidate)).toMatchObject({ id });
  });
});

describe('the image of a job', () => {
  it('is what its registry says, with the login from the vault', async () => {
    const expected = await push('1');
    const id = await create(':1');
    expect(await world.resolve(id)).toMatchObject({
      pull: 'missing',
      digest: expected,
      resolution: 'resolved',
      credentialId,
      previousDigest: null,
    });
    expect(await world.show(id)).toMatchObject({
      digest: expected,
      tagMoved: null,
      lookup: { failure: null },
    });
  });

  it('is another after its tag has moved, and the job says what the one before had', async () => {
    const before = await push('moving');
    const id = await create(':moving');
    await world.resolve(id);
    const after = await push('moving');
    expect(await world.resolve(id)).toMatchObject({ digest: after, previousDigest: before });
    expect(await world.resolve(id)).toMatchObject({ digest: after, previousDigest: null });
    const [now, then] = await history(id);
    expect(now).toMatchObject({ digest: after, until: null, source: 'launch', platforms: ['linux/amd64'] });
    expect(then).toMatchObject({ digest: before, until: now!.since });
  });

  it('costs one question once it is known, and none when its reference has the digest', async () => {
    const pinned = await push('cheap');
    const [tagged, byDigest] = [await create(':cheap'), await create(`@${pinned}`)];
    for (const id of [tagged, byDigest]) await world.resolve(id);
    const before = asked();
    await world.resolve(tagged);
    expect(asked() - before).toBe(1);
    expect(await world.resolve(byDigest)).toMatchObject({ resolution: 'pinned', digest: pinned });
    expect(asked() - before).toBe(1);
  });

  it('is refused in the words of its registry', async () => {
    const refusal = (reason: string, words: string) => ({
      code: 'refused',
      message: expect.stringContaining(words) as string,
      details: { reason },
    });
    await expect(world.resolve(await create(':none'))).rejects.toMatchObject(
      refusal('image_not_found', '"manifest unknown"'),
    );
    await push('secret');
    await expect(world.resolve(await create(':secret', { credentialId: null }))).rejects.toMatchObject(
      refusal('registry_unauthorized', 'authentication required'),
    );
    const login = world.logins.get(credentialId)!;
    world.logins.set(credentialId, { ...login, password: 'rotated' });
    await expect(world.resolve(await create(':secret'))).rejects.toMatchObject(
      refusal('registry_unauthorized', 'authentication required'),
    );
    world.logins.set(credentialId, login);
    await push('arm', 'arm64');
    await expect(world.resolve(await create(':arm'))).rejects.toMatchObject(
      refusal('wrong_platform', 'linux/arm64'),
    );
  });

  it('is what was last known while its registry is away; else the machine may have it, unless it is always to be pulled', async () => {
    const known = await push('away');
    const id = await create(':away');
    await world.resolve(id);
    await images.pause();
    try {
      expect(await world.resolve(id)).toMatchObject({
        digest: known,
        resolution: 'known',
        words: expect.stringContaining('ECONNREFUSED') as string,
        reason: expect.stringContaining('last known') as string,
      });
      expect((await world.show(id)).lookup).toMatchObject({ failure: 'away' });
      expect(await world.resolve(await create(':unknown'))).toMatchObject({
        digest: null,
        resolution: 'local',
      });
      await expect(world.resolve(await create(''))).rejects.toMatchObject({
        details: { reason: 'registry_unreachable' },
      });
    } finally {
      await images.resume();
    }
    expect(await world.resolve(id)).toMatchObject({ digest: known, resolution: 'resolved' });
  });

  it('that is never pulled is left to the engine, whose word counts then', async () => {
    const id = await world.create('quay.io/team/ee:9', { pull: 'never' });
    expect(await world.resolve(id)).toMatchObject({ digest: null, pull: 'never', resolution: 'local' });
    const found = { id, image: 'quay.io/team/ee:9', digest: digest(5) };
    await world.launcher.call(NoteDigest, found);
    await world.launcher.call(NoteDigest, { ...found, image: 'quay.io/team/ee:8', digest: digest(6) });
    expect((await world.show(id)).digest).toBe(digest(5));
    expect((await history(id)).map(({ source }) => source)).toEqual(['engine']);
    await expect(world.launcher.call(NoteDigest, { ...found, digest: 'latest' })).rejects.toMatchObject({
      code: 'invalid',
    });
  });
});

describe('a person who asks', () => {
  it('is told what the image means, and that it has moved since the last job', async () => {
    const before = await push('person');
    const id = await create(':person', { organizationId: world.organizationId });
    await world.resolve(id);
    const after = await push('person');
    const principal = world.withRole('use');
    expect(await world.gateway.call(LookUpDigest, { id }, { principal })).toMatchObject({
      pull: 'missing',
      digest: after,
      platforms: ['linux/amd64'],
    });
    expect((await world.show(id)).tagMoved).toMatchObject({ previousDigest: before, digest: after });
    // A plan that nothing runs on changes nothing.
    const candidates = [{ from: 'job_template' as const, executionEnvironmentId: id }];
    const look = { candidates, organizationId: world.organizationId, onlyLook: true };
    await world.launcher.call(ResolveExecutionEnvironment, look, { principal });
    expect((await world.show(id)).tagMoved).not.toBeNull();
    await world.resolve(id);
    expect((await world.show(id)).tagMoved).toBeNull();
    for (const [role, code] of [
      ['read', 'forbidden'],
      ['execute', 'forbidden'],
      ['member', 'not_found'],
    ] as const) {
      await expect(
        world.gateway.call(LookUpDigest, { id }, { principal: world.withRole(role) }),
      ).rejects.toMatchObject({ code });
    }
    await expect(
      world.gateway.call(ListDigestHistory, { id }, { principal: testPrincipal() }),
    ).rejects.toMatchObject({ code: 'not_found' });
  });

  it('sees that a meaning ends with a change of the image', async () => {
    await push('old');
    const id = await create(':old');
    await world.resolve(id);
    const principal = world.superuser;
    const image = `${images.host}/team/ee:new`;
    await world.gateway.call(ChangeExecutionEnvironment, { id, image }, { principal });
    expect(await world.show(id)).toMatchObject({ digest: null, digestSince: null });
    expect((await history(id))[0]!.until).not.toBeNull();
  });
});

describe('the image of a past job', () => {
  const check = (id: string, digestThen: string, ask = true, principal = world.withRole('execute')) =>
    world.launcher.call(
      CheckImage,
      {
        candidate: { from: 'job_template', executionEnvironmentId: id },
        organizationId: world.organizationId,
        image: `${images.host}/team/ee:past`,
        digest: digestThen,
        ask,
      },
      { principal },
    );

  it('is there under its digest when its tag has moved, and gone when its registry does not have it', async () => {
    const before = await push('past');
    const id = await create(':past');
    await push('past');
    expect(await check(id, before)).toEqual({ found: 'yes', words: '', credentialId });
    expect(await check(id, digest(7))).toMatchObject({
      found: 'gone',
      words: expect.stringMatching(/unknown/i),
    });
    const questions = asked();
    expect(await check(id, before, false)).toEqual({ found: 'unknown', words: '', credentialId });
    expect(asked()).toBe(questions);
  });

  it('cannot be asked for without the login, and not at all by who may not use it', async () => {
    const before = await push('past');
    const without = await create(':past', { credentialId: null });
    expect(await check(without, before)).toMatchObject({
      found: 'unknown',
      words: expect.stringMatching(/./),
    });
    const foreign = await create(':past', { organizationId: newId(), credentialId: null });
    await expect(check(foreign, before)).rejects.toMatchObject({ code: 'not_found' });
    await expect(check(newId(), before)).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('the schedule', () => {
  it('finds that a tag has moved without a job, one replica at a time, and leaves seeds alone that no job used', async () => {
    const before = await push('scheduled');
    const id = await create(':scheduled');
    await world.resolve(id);
    const after = await push('scheduled');
    const replicas = await Promise.all([1, 2].map(() => world.start({ registries, lookupSeconds: 1 })));
    try {
      const found = await eventually(async () => {
        const environment = await world.show(id);
        return environment.tagMoved ? environment : null;
      });
      expect(found.tagMoved).toMatchObject({ previousDigest: before, digest: after });
      expect((await history(id)).map(({ source }) => source)).toEqual(['schedule', 'launch']);
      const { rows } = await asAdmin.query(
        'select count(*)::int as n from registry.execution_environment_lookup where execution_environment_id = any($1) and asked_at is not null',
        [[seedIds.latest, seedIds.tagged, seedIds.controlPlane]],
      );
      expect(rows[0].n).toBe(0);
    } finally {
      await Promise.all(replicas.map((replica) => replica.stop()));
    }
  });
});
