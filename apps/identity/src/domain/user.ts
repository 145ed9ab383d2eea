/** A user and the roles they hold. Stream `user-<id>`. Granting a role twice, or taking one that is not held, changes nothing. */
import type { OrganizationRole } from '@gantry/contracts/access';
import type { EventOf } from '@gantry/contracts/envelope';
import { PlatformError } from '@gantry/contracts/errors';
import type { UserCreated, UserRoleGranted, UserRoleRevoked } from '@gantry/contracts/identity';

export type UserEvent = EventOf<typeof UserCreated | typeof UserRoleGranted | typeof UserRoleRevoked>;
export interface UserState {
  username: string;
  /** `<organization id>/<role>` */
  roles: ReadonlySet<string>;
}
export type UserCommand =
  | {
      kind: 'create';
      userId: string;
      username: string;
      email: string | null;
      superuser: boolean;
      auditor: boolean;
    }
  | { kind: 'grant' | 'revoke'; userId: string; organizationId: string; role: OrganizationRole };

/** Before the first event. */
export const initial: UserState | null = null;

/** State after an event. */
export const evolve = (state: UserState | null, event: UserEvent): UserState | null => {
  switch (event.type) {
    case 'user.created':
      return { username: event.data.username, roles: new Set() };
    case 'user.role_granted':
      return state && { ...state, roles: new Set([...state.roles, key(event.data)]) };
    case 'user.role_revoked':
      return (
        state && { ...state, roles: new Set([...state.roles].filter((role) => role !== key(event.data))) }
      );
  }
};

/** Events that follow from a command. Throws `conflict` (created twice), `not_found` (no such user). */
export const decide = (state: UserState | null, command: UserCommand): UserEvent[] => {
  if (command.kind === 'create') {
    if (state) throw new PlatformError('conflict', `The user ${state.username} exists already.`);
    const { kind: _, ...data } = command;
    return [{ type: 'user.created', version: 1, data }];
  }
  if (!state) throw new PlatformError('not_found', `There is no user ${command.userId}.`);
  const { kind, ...data } = command;
  const holds = state.roles.has(key(data));
  if (holds === (kind === 'grant')) return [];
  return [{ type: kind === 'grant' ? 'user.role_granted' : 'user.role_revoked', version: 1, data }];
};

const key = ({ organizationId, role }: { organizationId: string; role: string }): string =>
  `${organizationId}/${role}`;
