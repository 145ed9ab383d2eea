/** Commands on organizations. */
import { authorize, can } from '@gantry/contracts/access';
import type { OutputOf, ReceivedBy } from '@gantry/contracts/command';
import { ListExecutionEnvironments } from '@gantry/contracts/ee';
import { PlatformError } from '@gantry/contracts/errors';
import {
  identityEvents,
  type CreateOrganization,
  type SetOrganizationDefaultEnvironment,
} from '@gantry/contracts/identity';
import { decideAndAppend } from '@gantry/service/aggregate';
import type { CallContext } from '@gantry/service/context';
import { once } from '@gantry/service/idempotency';
import type { IdentityDeps } from './deps.js';
import { decide, evolve, initial } from './domain/organization.js';
import { claimName } from './name-claim.js';
import { eventNumbering } from './new-events.js';
import { findOrganization } from './organization.projection.js';

const { OrganizationCreated, OrganizationDefaultEnvironmentSet } = identityEvents;

/** Superusers. */
export const createOrganization = async (
  { pool, log }: IdentityDeps,
  input: ReceivedBy<typeof CreateOrganization>,
  context: CallContext,
): Promise<OutputOf<typeof CreateOrganization>> => {
  const principal = context.principal!;
  if (!principal.superuser) {
    throw new PlatformError(
      'forbidden',
      `${principal.username} may not create organizations: only system administrators may.`,
    );
  }
  const { name, description, idempotencyKey: key } = input;
  return once({ pool, log }, { scope: `organization.create:${principal.userId}`, key }, async (sql, id) => {
    const events = eventNumbering()(
      decide(initial, { kind: 'create', organizationId: id, name, description }),
    );
    await claimName(sql, log.schema, 'organization', name, id);
    await log.appendIn(sql, `organization-${id}`, 0, events, context.meta());
  });
};

/** Execution environment of its jobs that get none from template or project: global, or the organization's own. */
export const setOrganizationDefaultEnvironment = async (
  { pool, log, call }: IdentityDeps,
  { id: given, executionEnvironmentId }: ReceivedBy<typeof SetOrganizationDefaultEnvironment>,
  context: CallContext,
): Promise<OutputOf<typeof SetOrganizationDefaultEnvironment>> => {
  const principal = context.principal!;
  const id = given.toLowerCase();
  const organization = await findOrganization(pool, log.schema, id);
  if (!organization || !(can(principal, 'read', id) || id in principal.organizations))
    throw new PlatformError('not_found', `There is no organization ${id}.`);
  authorize(principal, 'admin', id, `the organization ${organization.name}`);
  if (executionEnvironmentId) await mayName(call, executionEnvironmentId, id, context);
  const number = eventNumbering();
  await decideAndAppend({
    log,
    stream: `organization-${id}`,
    initial,
    evolve,
    decide: (state) =>
      number(decide(state, { kind: 'set default environment', organizationId: id, executionEnvironmentId })),
    catalogue: { OrganizationCreated, OrganizationDefaultEnvironmentSet },
    meta: context.meta(),
  });
  return {};
};

const mayName = async (
  call: IdentityDeps['call'],
  environmentId: string,
  organizationId: string,
  context: CallContext,
): Promise<void> => {
  const { items } = await call(ListExecutionEnvironments, { ids: [environmentId], first: 1 }, context);
  const environment = items[0]?.node;
  if (!environment) {
    throw new PlatformError(
      'not_found',
      `There is no execution environment ${environmentId}, or it is not yours to see.`,
    );
  }
  if (environment.organizationId && environment.organizationId !== organizationId) {
    throw new PlatformError(
      'refused',
      `The execution environment ${environment.name} belongs to another organization: choose a global one, or one of this organization.`,
      { details: { reason: 'other_organization', field: 'executionEnvironmentId' } },
    );
  }
};
