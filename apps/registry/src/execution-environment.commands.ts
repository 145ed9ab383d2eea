/** Making, changing and deleting execution environments. */
import { authorize, type Principal } from '@gantry/contracts/access';
import type { OutputOf, ReceivedBy } from '@gantry/contracts/command';
import type {
  ChangeExecutionEnvironment,
  CreateExecutionEnvironment,
  DeleteExecutionEnvironment,
  MakeDefaultExecutionEnvironment,
} from '@gantry/contracts/ee';
import { PlatformError } from '@gantry/contracts/errors';
import type { Sql } from '@gantry/eventlog/sql';
import { decideAndAppend } from '@gantry/service/aggregate';
import { newId, type CallContext } from '@gantry/service/context';
import { once } from '@gantry/service/idempotency';
import { askRegistryLogin } from '@gantry/service/registry-login';
import {
  living,
  makeDefault,
  register,
  remove,
  revise,
  type Settings,
} from './domain/execution-environment.js';
import { formatImageReference, parseImageReference } from './domain/image-reference.js';
import { findDefault } from './execution-environment.projection.js';
import { refuseWhileUsed, usersOf } from './execution-environment.users.js';
import { aggregate, visible, type Registry } from './registry.js';

/** A new one: for an organization its administrators may, for all of them superusers. */
export const createExecutionEnvironment = async (
  registry: Registry,
  input: ReceivedBy<typeof CreateExecutionEnvironment>,
  context: CallContext,
): Promise<OutputOf<typeof CreateExecutionEnvironment>> => {
  const principal = context.principal as Principal;
  const { name, description, pull = null, credentialId = null } = input;
  const organizationId = input.organizationId ?? null;
  mayManage(principal, organizationId);
  const image = formatImageReference(parseImageReference(input.image));
  const settings: Settings = { name, description, organizationId, image, pull, credentialId };
  await checkCredential(registry, settings, context);
  const scope = `execution_environment.create:${principal.userId}`;
  return once(registry, { scope, key: input.idempotencyKey }, async (sql, id) => {
    await claimName(sql, registry.schema, name, id);
    const events = register(id, { ...settings, managed: false }, newId());
    await registry.log.appendIn(sql, aggregate(registry.log, id).stream, 0, events, context.meta());
  });
};

/** Other settings. Who moves it elsewhere needs to be an administrator there too, and leaves nobody behind who uses it. */
export const changeExecutionEnvironment = async (
  registry: Registry,
  { id: given, expectedVersion = null, image, ...others }: ReceivedBy<typeof ChangeExecutionEnvironment>,
  context: CallContext,
): Promise<OutputOf<typeof ChangeExecutionEnvironment>> => {
  const principal = context.principal as Principal;
  const id = given.toLowerCase();
  const before = await visible(registry, id, principal);
  mayManage(principal, before.organizationId ?? null, before.name);
  const wanted = { ...others, image: image && formatImageReference(parseImageReference(image)) };
  // What is left out stays; null takes away.
  const change = Object.fromEntries(
    Object.entries(wanted).filter(([, value]) => value !== undefined),
  ) as Partial<Settings>;
  const after = { ...before, ...change };
  const moves = (before.organizationId ?? null) !== (after.organizationId ?? null);
  if (moves) {
    mayManage(principal, after.organizationId ?? null);
    if (after.organizationId)
      refuseWhileUsed(before, await usersOf(registry, before, context), 'cannot be moved to an organization');
  }
  if (moves || change.image !== undefined || change.credentialId !== undefined)
    await checkCredential(registry, after, context);
  const eventId = newId();
  const { state } = await decideAndAppend({
    ...aggregate(registry.log, id),
    decide: (state) => revise(state, id, change, expectedVersion, eventId),
    meta: context.meta(),
    inTransaction: async (sql) => {
      if (change.name !== undefined) await claimName(sql, registry.schema, change.name, id);
    },
  });
  await lookSoon(registry, id);
  return { version: living(state, id).version };
};

/** It goes, unless it is managed or somebody uses it. */
export const deleteExecutionEnvironment = async (
  registry: Registry,
  { id: given }: ReceivedBy<typeof DeleteExecutionEnvironment>,
  context: CallContext,
): Promise<OutputOf<typeof DeleteExecutionEnvironment>> => {
  const id = given.toLowerCase();
  const principal = context.principal as Principal;
  const environment = await visible(registry, id, principal);
  mayManage(principal, environment.organizationId ?? null, environment.name);
  if (!environment.managed)
    refuseWhileUsed(environment, await usersOf(registry, environment, context), 'cannot be deleted');
  const eventId = newId();
  await decideAndAppend({
    ...aggregate(registry.log, id),
    decide: (state) => remove(state, id, eventId),
    meta: context.meta(),
    inTransaction: async (sql) => {
      for (const table of ['execution_environment_name', 'execution_environment_lookup'])
        await sql.query(`delete from ${registry.schema}.${table} where execution_environment_id = $1`, [id]);
    },
  });
  return {};
};

/** The default of jobs that name none: superusers choose it. */
export const makeDefaultExecutionEnvironment = async (
  registry: Registry,
  { id: given }: ReceivedBy<typeof MakeDefaultExecutionEnvironment>,
  context: CallContext,
): Promise<OutputOf<typeof MakeDefaultExecutionEnvironment>> => {
  const id = given.toLowerCase();
  authorize(context.principal as Principal, 'admin', null, 'the default execution environment');
  if ((await findDefault(registry))?.id === id) return {};
  const eventId = newId();
  await decideAndAppend({
    ...aggregate(registry.log, id),
    decide: (state) => makeDefault(state, id, eventId),
    meta: context.meta(),
  });
  return {};
};

const mayManage = (principal: Principal, organizationId: string | null, name?: string): void =>
  authorize(
    principal,
    'admin',
    organizationId,
    name !== undefined
      ? `the execution environment ${name}`
      : organizationId === null
        ? 'execution environments of all organizations'
        : 'the execution environments of this organization',
  );

/** The vault knows the credential, and for which registry it is: a password goes to no other. Throws what the vault says. */
const checkCredential = async (
  { call }: Registry,
  {
    credentialId,
    organizationId,
    image,
  }: Pick<Settings, 'image'> & { credentialId?: string | null; organizationId?: string | null },
  context: CallContext,
): Promise<void> => {
  if (!credentialId) return;
  const host = parseImageReference(image).domain;
  await askRegistryLogin(call, { credentialId, organizationId: organizationId ?? null, host }, context).catch(
    (error: unknown) => {
      if (error instanceof PlatformError && (error.code === 'not_found' || error.code === 'refused')) {
        throw new PlatformError('refused', error.message, {
          details: { reason: 'registry_credential', ...error.details, field: 'credentialId' },
        });
      }
      throw error;
    },
  );
};

/** Takes a name; one that the same had before is free again. Throws `refused` with reason name_taken. */
const claimName = async (sql: Sql, schema: string, name: string, id: string): Promise<void> => {
  const table = `${schema}.execution_environment_name`;
  await sql.query(`delete from ${table} where execution_environment_id = $1 and name <> $2`, [id, name]);
  const { rows } = await sql.query<{ id: string }>(
    `insert into ${table} as claim (name, execution_environment_id) values ($1, $2)
     on conflict (name) do update set name = claim.name returning execution_environment_id::text as id`,
    [name, id],
  );
  if (rows[0]?.id === id) return;
  throw new PlatformError(
    'refused',
    `There is an execution environment called ${name} already: choose another name.`,
    { details: { reason: 'name_taken', field: 'name' } },
  );
};

/** Another image, or another login: the schedule asks anew. */
const lookSoon = ({ pool, schema }: Registry, id: string): Promise<unknown> =>
  pool.query(
    `update ${schema}.execution_environment_lookup set next_at = now() where execution_environment_id = $1`,
    [id],
  );
