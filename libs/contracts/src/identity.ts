/** Identity: organizations, users and their tokens. Streams `organization-<id>`, `user-<id>`, `token-<id>`. */
import { z } from 'zod';
import { organizationRoles, Principal } from './access.js';
import { command, Created, Id, IdempotencyKey, Name, pageOf, PageRequest, serviceNames } from './command.js';
import { ExecutionEnvironmentUsers } from './ee.js';
import { event } from './envelope.js';

/** An organization exists from here on. */
export const OrganizationCreated = event(
  'organization.created',
  1,
  z.object({ organizationId: Id, name: Name, description: z.string() }),
);
/** Jobs of the organization that get no execution environment from template or project run in this one; null: in the installation's default. */
export const OrganizationDefaultEnvironmentSet = event(
  'organization.default_environment_set',
  1,
  z.object({ organizationId: Id, executionEnvironmentId: Id.nullable() }),
);
/** A user exists from here on. */
export const UserCreated = event(
  'user.created',
  1,
  z.object({
    userId: Id,
    username: z.string(),
    email: z.string().nullable(),
    superuser: z.boolean(),
    auditor: z.boolean(),
  }),
);
/** A user has this role in this organization. */
export const UserRoleGranted = event(
  'user.role_granted',
  1,
  z.object({ userId: Id, organizationId: Id, role: z.enum(organizationRoles) }),
);
/** A user no longer has this role in this organization. */
export const UserRoleRevoked = event(
  'user.role_revoked',
  1,
  z.object({ userId: Id, organizationId: Id, role: z.enum(organizationRoles) }),
);
/** `sha256` is of the token, 256 random bits: it cannot be turned back. */
export const TokenIssued = event(
  'token.issued',
  1,
  z.object({
    tokenId: Id,
    userId: Id,
    description: z.string(),
    sha256: z.string(),
    expiresAt: z.iso.datetime().nullable(),
  }),
);
/** The token is dead. */
export const TokenRevoked = event('token.revoked', 1, z.object({ tokenId: Id }));

/** Every event in identity's log. */
export const identityEvents = {
  OrganizationCreated,
  OrganizationDefaultEnvironmentSet,
  UserCreated,
  UserRoleGranted,
  UserRoleRevoked,
  TokenIssued,
  TokenRevoked,
};

/** An organization, as queries give it. */
export const Organization = z.object({
  id: Id,
  name: Name,
  description: z.string(),
  defaultEnvironmentId: Id.nullish(),
  createdAt: z.string(),
});
/** An organization, as queries give it. */
export type Organization = z.output<typeof Organization>;

/** A user, as queries give them. */
export const User = z.object({
  id: Id,
  username: z.string(),
  email: z.string().nullable(),
  superuser: z.boolean(),
  auditor: z.boolean(),
  createdAt: z.string(),
});
/** A user, as queries give them. */
export type User = z.output<typeof User>;

/** Whose token is this? `assertion` is a JWT (EdDSA, at most 5 minutes) that other services check by `identity.keys.get`. Errors: unauthenticated. */
export const VerifyToken = command('identity.token.verify', {
  callers: ['gateway'],
  principal: false,
  input: z.object({ token: z.string().max(500) }),
  output: z.object({
    principal: Principal,
    assertion: z.string(),
    assertionExpiresAt: z.string(),
    tokenExpiresAt: z.string().nullable(),
  }),
});
/** Public keys of assertions, as a JWK set. */
export const GetKeys = command('identity.keys.get', {
  callers: serviceNames,
  principal: false,
  input: z.object({}),
  output: z.object({ keys: z.array(z.record(z.string(), z.unknown())) }),
});
/** Superusers. Errors: forbidden, conflict (the name is taken). */
export const CreateOrganization = command('identity.organization.create', {
  callers: ['gateway'],
  input: z.object({
    name: Name,
    description: z.string().max(10_000).default(''),
    idempotencyKey: IdempotencyKey.nullish(),
  }),
  output: Created,
});
/** Those that the asking person belongs to. Templates asks whether one is there before it makes things in it. */
export const ListOrganizations = command('identity.organization.list', {
  callers: ['gateway', 'templates'],
  input: PageRequest.extend({ name: z.string().nullish(), ids: z.array(Id).max(200).nullish() }),
  output: pageOf(Organization),
});
/** For the organization's administrators, who may use the execution environment. Errors: not_found, forbidden, refused (another organization's). */
export const SetOrganizationDefaultEnvironment = command('identity.organization.set_default_environment', {
  callers: ['gateway'],
  input: z.object({ id: Id, executionEnvironmentId: Id.nullable() }),
  output: z.object({}),
});
/** Default execution environments of organizations, for a launch; organizations without one are left out. */
export const GetDefaultEnvironments = command('identity.organization.default_environments', {
  callers: ['templates'],
  input: z.object({ organizationIds: z.array(Id).max(10) }),
  output: z.object({
    items: z.array(z.object({ organizationId: Id, executionEnvironmentId: Id })),
  }),
});
/** Organizations whose default is this execution environment: those that the person belongs to, and how many in all. */
export const ListOrganizationsUsingEnvironment = command('identity.execution_environment.users', {
  callers: ['registry'],
  principal: true,
  input: z.object({ executionEnvironmentId: Id }),
  output: ExecutionEnvironmentUsers,
});
/** Superusers. Errors: forbidden, conflict (the username is taken). */
export const CreateUser = command('identity.user.create', {
  callers: ['gateway'],
  input: z.object({
    username: z.string().regex(/^[\w.@+-]{1,150}$/, 'a username has 1 to 150 letters, digits and . @ + - _'),
    email: z.email().nullish(),
    superuser: z.boolean().default(false),
    auditor: z.boolean().default(false),
    idempotencyKey: IdempotencyKey.nullish(),
  }),
  output: Created,
});
/** Users that the caller may see, by username. */
export const ListUsers = command('identity.user.list', {
  callers: ['gateway'],
  input: PageRequest.extend({ ids: z.array(Id).max(200).nullish() }),
  output: pageOf(User),
});
/** Superusers and administrators of the organization. */
export const GrantRole = command('identity.user.grant_role', {
  callers: ['gateway'],
  input: z.object({ userId: Id, organizationId: Id, role: z.enum(organizationRoles) }),
  output: z.object({}),
});
/** Superusers and administrators of the organization. Taking what is not there changes nothing. */
export const RevokeRole = command('identity.user.revoke_role', {
  callers: ['gateway'],
  input: z.object({ userId: Id, organizationId: Id, role: z.enum(organizationRoles) }),
  output: z.object({}),
});
/** A new token, for oneself or (superusers) for another. The token is told once. */
export const IssueToken = command('identity.token.issue', {
  callers: ['gateway'],
  input: z.object({
    userId: Id.nullish(),
    description: z.string().max(500).default(''),
    expiresInSeconds: z.number().int().positive().nullish(),
  }),
  output: z.object({ id: Id, token: z.string() }),
});
/** One's own token, or (superusers) anybody's. Errors: not_found, forbidden. */
export const RevokeToken = command('identity.token.revoke', {
  callers: ['gateway'],
  input: z.object({ id: Id }),
  output: z.object({}),
});

/** What identity answers. */
export const identityCommands = [
  VerifyToken,
  GetKeys,
  CreateOrganization,
  SetOrganizationDefaultEnvironment,
  GetDefaultEnvironments,
  ListOrganizationsUsingEnvironment,
  ListOrganizations,
  CreateUser,
  ListUsers,
  GrantRole,
  RevokeRole,
  IssueToken,
  RevokeToken,
] as const;
