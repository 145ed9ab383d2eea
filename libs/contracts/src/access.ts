/** Who a caller is, and what roles let them do. Pure: the service that owns an object asks `can`. */
import { z } from 'zod';
import { PlatformError } from './errors.js';

/** Roles in an organization, in AWX's words. */
export const organizationRoles = ['admin', 'execute', 'use', 'update', 'read', 'auditor', 'member'] as const;
/** A role in an organization. */
export type OrganizationRole = (typeof organizationRoles)[number];

/** What one may want to do with an object. */
export const actions = ['read', 'use', 'execute', 'update', 'admin'] as const;
/** What one may want to do with an object. */
export type Action = (typeof actions)[number];

/** A person or program behind a token, as identity vouches for them. */
export const Principal = z.object({
  userId: z.uuid(),
  username: z.string(),
  /** May do everything. */
  superuser: z.boolean(),
  /** May read everything. */
  auditor: z.boolean(),
  /** Role names by organization id. */
  organizations: z.record(z.string(), z.array(z.enum(organizationRoles))),
  tokenId: z.uuid(),
});
/** A person or program behind a token. */
export type Principal = z.output<typeof Principal>;

const grants: Record<OrganizationRole, readonly Action[]> = {
  admin: actions,
  execute: ['read', 'execute'],
  use: ['read', 'use'],
  update: ['read', 'update'],
  read: ['read'],
  auditor: ['read'],
  member: [],
};

/** May this principal do this with an object of the organization? `null` is a global object: everybody may read and use it, superusers more. */
export const can = (principal: Principal, action: Action, organizationId: string | null): boolean => {
  if (principal.superuser) return true;
  if (principal.auditor && action === 'read') return true;
  if (organizationId === null) return action === 'read' || action === 'use';
  return (principal.organizations[organizationId] ?? []).some((role) => grants[role].includes(action));
};

/** Throws `forbidden` unless `can`. `what` names the object in the sentence: "the job template Deploy". */
export const authorize = (
  principal: Principal,
  action: Action,
  organizationId: string | null,
  what: string,
): void => {
  if (can(principal, action, organizationId)) return;
  throw new PlatformError(
    'forbidden',
    `${principal.username} may not ${action} ${what}: ask an administrator of its organization for the role.`,
    {
      details: { action, what },
    },
  );
};

/** The organizations whose objects this principal may read; `all` for superusers and auditors. */
export const readable = (principal: Principal): 'all' | string[] =>
  principal.superuser || principal.auditor
    ? 'all'
    : Object.keys(principal.organizations).filter((id) => can(principal, 'read', id));
