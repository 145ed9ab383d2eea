/** An organization: everything that people own belongs to one. Stream `organization-<id>`. */
import type { EventOf } from '@gantry/contracts/envelope';
import { PlatformError } from '@gantry/contracts/errors';
import type { OrganizationCreated } from '@gantry/contracts/identity';

export type OrganizationEvent = EventOf<typeof OrganizationCreated>;
export type OrganizationState = { name: string } | null;
export interface CreateOrganizationCommand {
  kind: 'create';
  organizationId: string;
  name: string;
  description: string;
}

/** Before the first event. */
export const initial: OrganizationState = null;

/** State after an event. */
export const evolve = (_state: OrganizationState, event: OrganizationEvent): OrganizationState => ({
  name: event.data.name,
});

/** Events that follow from a command. Throws `conflict` when the organization is there already. */
export const decide = (state: OrganizationState, command: CreateOrganizationCommand): OrganizationEvent[] => {
  if (state) throw new PlatformError('conflict', `The organization ${state.name} exists already.`);
  const { organizationId, name, description } = command;
  return [{ type: 'organization.created', version: 1, data: { organizationId, name, description } }];
};
