import type { OrganizationRole, Principal } from '@gantry/contracts/access';
import {
  ChangeExecutionEnvironment,
  CreateExecutionEnvironment,
  DeleteExecutionEnvironment,
  ListExecutionEnvironments,
  ListExecutionEnvironmentUsers,
  MakeDefaultExecutionEnvironment,
} from '@gantry/contracts/ee';
import type { RunningService } from '@gantry/service/boot';
import { newId } from '@gantry/service/context';
import { testPrincipal } from '@gantry/service/testing';
import { startNats } from '@gantry/testkit/nats';
import { freshDatabase } from '@gantry/testkit/postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seedIds, type SeedSettings } from './seed.js';
import { createWorld, type World } from './testing/world.js';

let world: World;
let asAdmin: pg.Client;
let service: RunningService;
const restart = async (seed: SeedSettings): Promise<void> => {
  await service.stop();
  service = await world.start({ seed });
};

beforeAll(async () => {
  const [database, nats] = await Promise.all([freshDatabase(), startNats()]);
  world = await createWorld({ database, nats });
  asAdmin = new pg.Client({ connectionString: world.adminUrl });
  await asAdmin.connect();
  service = await world.start();
});
afterAll(async () => {
  await asAdmin?.end();
  await world?.close();
});

const admin = (): Principal => world.withRole('admin');
const everyRoleBut = (left: OrganizationRole): OrganizationRole[] =>
  (['admin', 'use', 'execute', 'update', 'read', 'auditor', 'member'] as const).filter(
    (role) => role !== left,
  );
const theDefault = async (): Promise<string | undefined> =>
  (await world.list()).find(({ isDefault }) => isDefault)?.name;
const change = (id: string, more: object, principal: Principal = world.superuser) =>
  world.gateway.call(ChangeExecutionEnvironment, { id, ...more }, { principal });
const remove = (id: string, principal: Principal = world.superuser) =>
  world.gateway.call(DeleteExecutionEnvironment, { id }, { principal });
const countEvents = async (): Promise<number> =>
  Number((await asAdmin.query('select count(*) as n from registry.event_log')).rows[0].n);

describe('a new installation', () => {
  it("has AWX's three execution environments, and the local one as default once there is one", async () => {
    expect(
      (await world.list()).map(({ name, image, managed, isDefault }) => ({
        name,
        image,
        managed,
        isDefault,
      })),
    ).toEqual([
      { name: 'AWX EE (24.6.1)', image: 'quay.io/ansible/awx-ee:24.6.1', managed: false, isDefault: false },
      { name: 'AWX EE (latest)', image: 'quay.io/ansible/awx-ee:latest', managed: false, isDefault: true },
      {
        name: 'Control Plane Execution Environment',
        image: 'quay.io/ansible/awx-ee:latest',
        managed: true,
        isDefault: false,
      },
    ]);
    await restart({ localImage: 'localhost/gantry-ee:1', defaultIs: 'local' });
    expect(await theDefault()).toBe('Gantry EE (local)');
    expect((await world.list()).find(({ id }) => id === seedIds.local)).toMatchObject({
      image: 'localhost/gantry-ee:1',
      pull: 'never',
    });
  });

  it('is not changed by starting again, by two at once neither', async () => {
    const before = await countEvents();
    const second = await world.start({ seed: { localImage: 'localhost/gantry-ee:1', defaultIs: 'local' } });
    await Promise.all([second.stop(), restart({ localImage: 'localhost/gantry-ee:1', defaultIs: 'local' })]);
    expect(await countEvents()).toBe(before);
  });

  it("follows the local image to another name, and never undoes a person's choice of the default", async () => {
    const choose = (id: string) =>
      world.gateway.call(MakeDefaultExecutionEnvironment, { id }, { principal: world.superuser });
    await choose(seedIds.tagged);
    await choose(seedIds.tagged);
    await restart({ localImage: 'localhost/gantry-ee:2', defaultIs: 'local' });
    expect(await theDefault()).toBe('AWX EE (24.6.1)');
    expect(await world.show(seedIds.local)).toMatchObject({ image: 'localhost/gantry-ee:2', version: 2 });
    await choose(seedIds.local);
  });

  it('does not bring back what people deleted', async () => {
    await remove(seedIds.tagged);
    await restart({ localImage: 'localhost/gantry-ee:2', defaultIs: 'local' });
    expect((await world.list()).map(({ id }) => id)).not.toContain(seedIds.tagged);
  });
});

describe('a new execution environment', () => {
  it('is made by administrators: of the organization, or of everything', async () => {
    const { organizationId } = world;
    await world.create('quay.io/x/y:1', { organizationId }, admin());
    for (const role of everyRoleBut('admin')) {
      await expect(
        world.create('quay.io/x/y:1', { organizationId }, world.withRole(role)),
      ).rejects.toMatchObject({ code: 'forbidden' });
    }
    await expect(world.create('quay.io/x/y:1', {}, admin())).rejects.toMatchObject({ code: 'forbidden' });
    await expect(
      world.gateway.call(MakeDefaultExecutionEnvironment, { id: seedIds.latest }, { principal: admin() }),
    ).rejects.toMatchObject({ code: 'forbidden' });
    const unsigned = world.gateway.call(CreateExecutionEnvironment, { name: 'x', image: 'quay.io/x/y:1' });
    await expect(unsigned).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  it("is seen by its organization's people, as the global ones are by everybody", async () => {
    const id = await world.create('quay.io/x/own:1', { organizationId: world.organizationId }, admin());
    const sees = async (principal: Principal) => (await world.list(principal)).some((node) => node.id === id);
    expect(
      await Promise.all(
        [
          world.withRole('read'),
          testPrincipal({ auditor: true }),
          testPrincipal(),
          world.withRole('member'),
        ].map(sees),
      ),
    ).toEqual([true, true, false, false]);
    expect((await world.list(testPrincipal())).map(({ id: each }) => each)).toContain(seedIds.latest);
    await expect(
      world.gateway.call(ListExecutionEnvironmentUsers, { id }, { principal: testPrincipal() }),
    ).rejects.toMatchObject({ code: 'not_found' });
  });

  it('has a right image, whose bad part is quoted else, and a name of its own', async () => {
    await expect(world.create('quay.io/Foo/bar')).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining('"Foo"') as string,
    });
    await expect(world.create('quay.io/x/y:1', { name: 'AWX EE (latest)' })).rejects.toMatchObject({
      code: 'refused',
      details: { reason: 'name_taken' },
    });
  });

  it('is made once for one idempotency key', async () => {
    const again = { name: 'once only', image: 'alpine', idempotencyKey: newId() };
    const create = () =>
      world.gateway.call(CreateExecutionEnvironment, again, { principal: world.superuser });
    const first = await create();
    expect([first.created, await create()]).toEqual([true, { id: first.id, created: false }]);
    expect(await world.show(first.id)).toMatchObject({ image: 'docker.io/library/alpine', version: 1 });
  });

  it('takes a login for its own registry and of its own organization alone', async () => {
    const { organizationId } = world;
    const credentialId = newId();
    world.logins.set(credentialId, { host: 'quay.io', username: 'me', password: 'pass', organizationId });
    const id = await world.create('quay.io/x/y:1', { organizationId, credentialId }, admin());
    expect((await world.show(id)).credentialId).toBe(credentialId);
    const refused = (details: object) => ({
      code: 'refused',
      details: { field: 'credentialId', ...details } as unknown,
    });
    await expect(
      world.create('docker.io/x/y:1', { organizationId, credentialId }, admin()),
    ).rejects.toMatchObject(refused({ reason: 'registry_host' }));
    await expect(
      world.create('quay.io/x/y:1', { organizationId: newId(), credentialId }),
    ).rejects.toMatchObject(refused({ reason: 'registry_credential' }));
    // Nor does it go along to another registry later.
    await expect(change(id, { image: 'ghcr.io/x/y:1' }, admin())).rejects.toMatchObject(
      refused({ reason: 'registry_host' }),
    );
  });
});

describe('a change', () => {
  it('leaves what is left out, takes away what is null, and counts', async () => {
    const id = await world.create('quay.io/x/y:1', { description: 'before', pull: 'always' });
    expect(await change(id, { image: 'quay.io/x/z:2' })).toEqual({ version: 2 });
    expect(await world.show(id)).toMatchObject({
      image: 'quay.io/x/z:2',
      description: 'before',
      pull: 'always',
    });
    expect(await change(id, { pull: null, expectedVersion: 2 })).toEqual({ version: 3 });
    expect((await world.show(id)).pull).toBeNull();
    await expect(change(id, { name: 'late', expectedVersion: 2 })).rejects.toMatchObject({
      code: 'conflict',
      details: { reason: 'revised', actual: 3 },
    });
    await expect(change(id, { image: 'quay.io/x/z:..' })).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining('"."') as string,
    });
  });

  it('of the name leaves the old one free, and takes none that is taken', async () => {
    const [name, other] = [`ee ${newId()}`, `ee ${newId()}`];
    const id = await world.create('quay.io/x/y:1', { name });
    await world.create('quay.io/x/y:1', { name: other });
    await expect(change(id, { name: other })).rejects.toMatchObject({ details: { reason: 'name_taken' } });
    await change(id, { name: `${name} new` });
    await world.create('quay.io/x/y:1', { name });
  });

  it('is for administrators of what it is, and of where it goes', async () => {
    const { organizationId } = world;
    const id = await world.create('quay.io/x/y:1', { organizationId }, admin());
    for (const role of everyRoleBut('admin')) {
      await expect(change(id, { description: 'mine' }, world.withRole(role))).rejects.toMatchObject({
        code: role === 'member' ? 'not_found' : 'forbidden',
      });
    }
    await expect(change(id, { description: 'mine' }, testPrincipal())).rejects.toMatchObject({
      code: 'not_found',
    });
    for (const elsewhere of [null, newId()])
      await expect(change(id, { organizationId: elsewhere }, admin())).rejects.toMatchObject({
        code: 'forbidden',
      });
    await expect(change(seedIds.latest, { description: 'mine' }, admin())).rejects.toMatchObject({
      code: 'forbidden',
    });
  });

  it('does not take it away from who uses it', async () => {
    const id = await world.create('quay.io/x/y:1');
    world.users.set(id, [{ kind: 'project', id: newId(), name: 'Playbooks' }]);
    await expect(change(id, { organizationId: world.organizationId })).rejects.toMatchObject({
      details: { reason: 'in_use' },
    });
    world.users.delete(id);
    await change(id, { organizationId: world.organizationId });
    await expect(change(seedIds.local, { organizationId: world.organizationId })).rejects.toMatchObject({
      details: { reason: 'in_use' },
    });
  });

  it('of a managed one leaves its image', async () => {
    await expect(change(seedIds.controlPlane, { image: 'quay.io/x/y:1' })).rejects.toMatchObject({
      code: 'refused',
      details: { reason: 'managed' },
    });
    await change(seedIds.controlPlane, { pull: 'missing' });
  });
});

describe('a deletion', () => {
  it('is refused with the users named, and those counted that may not be seen', async () => {
    const id = await world.create('quay.io/x/y:1', { organizationId: world.organizationId });
    const users = [
      { kind: 'job_template' as const, id: newId(), name: 'Deploy' },
      { kind: 'organization' as const, id: newId(), name: 'Ops' },
    ];
    world.users.set(id, users);
    world.hidden.set(id, 2);
    await expect(remove(id, admin())).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringMatching(/job template Deploy, organization Ops, 2 more/) as string,
      details: { reason: 'in_use', users, totalUsers: 4 },
    });
    expect(await world.gateway.call(ListExecutionEnvironmentUsers, { id }, { principal: admin() })).toEqual({
      items: users,
      totalCount: 4,
    });
    world.users.delete(id);
    world.hidden.delete(id);
    await remove(id, admin());
    await expect(remove(id, admin())).rejects.toMatchObject({ code: 'not_found' });
    const { totalCount } = await world.gateway.call(
      ListExecutionEnvironments,
      { ids: [id] },
      { principal: world.superuser },
    );
    expect(totalCount).toBe(0);
  });

  it('of the default is refused, of a managed one always, and leaves the name free', async () => {
    await expect(remove(seedIds.local)).rejects.toMatchObject({
      details: { reason: 'in_use', users: [{ kind: 'setting', id: null }] },
    });
    await expect(remove(seedIds.controlPlane)).rejects.toMatchObject({ details: { reason: 'managed' } });
    const name = `ee ${newId()}`;
    await remove(await world.create('quay.io/x/y:1', { name }));
    await world.create('quay.io/x/y:1', { name });
  });

  it('is for administrators', async () => {
    const id = await world.create('quay.io/x/y:1', { organizationId: world.organizationId });
    for (const role of everyRoleBut('admin')) {
      await expect(remove(id, world.withRole(role))).rejects.toMatchObject({
        code: role === 'member' ? 'not_found' : 'forbidden',
      });
    }
    await expect(remove(seedIds.latest, admin())).rejects.toMatchObject({ code: 'forbidden' });
  });
});
