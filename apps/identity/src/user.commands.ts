/** Commands on users and their roles. */
import { can, type Principal } from '@gantry/contracts/access';
import type { OutputOf, ReceivedBy } from '@gantry/contracts/command';
import { PlatformError } from '@gantry/contracts/errors';
import { identityEvents, type CreateUser, type GrantRole } from '@gantry/contracts/identity';
import { decideAndAppend } from '@gantry/service/aggregate';
import type { CallContext } from '@gantry/service/context';
import { once } from '@gantry/service/idempotency';
import type { IdentityDeps } from './deps.js';
import { decide, evolve, initial } from './domain/user.js';
import { claimName } from './name-claim.js';
import { eventNumbering } from './new-events.js';
import { findOrganization } from './organization.projection.js';

const { UserCreated, UserRoleGranted, UserRoleRevoked } = identityEvents;
const catalogue = { UserCreated, UserRoleGranted, UserRoleRevoked };

/** Superusers. */
export const createUser = async (
  { pool, log }: IdentityDeps,
  input: ReceivedBy<typeof CreateUser>,
  context: CallContext,
): Promise<OutputOf<typeof CreateUser>> => {
  const principal = context.principal!;
  if (!principal.superuser) {
    throw new PlatformError(
      'forbidden',
      `${principal.username} may not create users: only system administrators may.`,
    );
  }
  const { username, email = null, superuser, auditor, idempotencyKey: key } = input;
  return once({ pool, log }, { scope: `user.create:${principal.userId}`, key }, async (sql, id) => {
    const events = eventNumbering()(
      decide(initial, { kind: 'create', userId: id, username, email, superuser, auditor }),
    );
    await claimName(sql, log.schema, 'user', username, id);
    await log.appendIn(sql, `user-${id}`, 0, events, context.meta());
  });
};

/** Superusers and administrators of the organization. */
export const changeRole = async (
  kind: 'grant' | 'revoke',
  { pool, log, cache }: IdentityDeps,
  input: ReceivedBy<typeof GrantRole>,
  context: CallContext,
): Promise<Record<string, never>> => {
  const organization = await findOrganization(pool, log.schema, input.organizationId);
  mayAdminister(context.principal!, input.organizationId, organization?.name);
  if (!organization)
    throw new PlatformError('not_found', `There is no organization ${input.organizationId}.`);
  const number = eventNumbering();
  await decideAndAppend({
    log,
    stream: `user-${input.userId}`,
    initial,
    evolve,
    decide: (state) => number(decide(state, { kind, ...input })),
    catalogue,
    meta: context.meta(),
  });
  cache.forgetAll();
  return {};
};

const mayAdminister = (principal: Principal, organizationId: string, name: string | undefined): void => {
  if (can(principal, 'admin', organizationId)) return;
  const what =
    name !== undefined && organizationId in principal.organizations
      ? `the organization ${name}`
      : 'that organization';
  throw new PlatformError(
    'forbidden',
    `${principal.username} may not give or take roles in ${what}: ask one of its administrators.`,
  );
};
