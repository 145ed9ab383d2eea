/** Commands on organizations. */
import type { OutputOf, ReceivedBy } from '@gantry/contracts/command';
import { PlatformError } from '@gantry/contracts/errors';
import type { CreateOrganization } from '@gantry/contracts/identity';
import type { CallContext } from '@gantry/service/context';
import { once } from '@gantry/service/idempotency';
import type { IdentityDeps } from './deps.js';
import { decide, initial } from './domain/organization.js';
import { claimName } from './name-claim.js';
import { eventNumbering } from './new-events.js';

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
