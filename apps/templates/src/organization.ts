/** May somebody make things in an organization, and is there such an organization? */
import { authorize } from '@gantry/contracts/access';
import { PlatformError } from '@gantry/contracts/errors';
import { ListOrganizations } from '@gantry/contracts/identity';
import type { CallContext } from '@gantry/service/context';
import type { TemplatesDeps } from './deps.js';

/** Throws `forbidden`; `not_found` when there is no such organization; `unavailable` when identity cannot say. `what`: "projects". */
export const mayCreateIn = async (
  { call }: Pick<TemplatesDeps, 'call'>,
  organizationId: string,
  what: string,
  context: CallContext,
): Promise<void> => {
  const principal = context.principal!;
  authorize(principal, 'admin', organizationId, `${what} of this organization`);
  // A role in it proves that it is there; only superusers may name any.
  if (organizationId in principal.organizations) return;
  const { totalCount } = await call(ListOrganizations, { ids: [organizationId], first: 1 }, context);
  if (totalCount === 0) throw new PlatformError('not_found', `There is no organization ${organizationId}.`);
};
