/** An organization: everything that people own belongs to one. Stream `organization-<id>`. */
import type { EventOf } from '@gantry/contracts/envelope';
import { PlatformError } from '@gantry/contracts/errors';
import type { OrganizationCreated, OrganizationDefaultEnvironmentSet } from '@gantry/contracts/identity';

export type OrganizationEvent = EventOf<
  typeof OrganizationCreated | typeof OrganizationDefaultEnvironmentSet
>;
export type OrganizationState = { name: string; defaultEnvironmentId: string | null } | null;
export type OrganizationCommand =
  | { kind: 'create'; organizationId: string; name: string; description: string }
  | { kind: 'set default environment'; organizationId: string; executionEnvironmentId: string | null };

/** Before the first event. */
export const initial: OrganizationState = null;

/** State after an event. */
export const evolve = (state: OrganizationState, event: OrganizationEvent): OrganizationState =>
  event.type === 'organization.created'
    ? { name: event.data.name, defaultEnvironmentId: null }
    : state && { ...state, defaultEnvironmentId: event.data.executionEnvironmentId };

/** Events that follow from a command; none when nothing changes. Throws `conflict` when the organization is there already, `not_found` when it is not. */
export const decide = (state: OrganizationState, command: OrganizationCommand): OrganizationEvent[] => {
  if (command.kind === 'set default environment') {
    const { organizationId, executionEnvironmentId } = command;
    if (!state) throw new PlatformError('not_found', `There is no organization ${organizationId}.`);
    if (executionEnvironmentId === state.defaultEnvironmentId) return [];
    return [
      {
        type: 'organization.default_environment_set',
        version: 1,
        data: { organizationId, executionEnvironmentId },
      },
    ];
  }
  if (state) throw new PlatformError('conflict', `The organization ${state.name} exists already.`);
  const { organizationId, name, description } = command;
  return [{ type: 'organization.created', version: 1, data: { organizationId, name, description } }];
};
