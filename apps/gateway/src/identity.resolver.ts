import {
  CreateOrganization,
  CreateUser,
  GrantRole,
  IssueToken,
  ListOrganizations,
  ListUsers,
  RevokeRole,
  RevokeToken,
  SetOrganizationDefaultEnvironment,
} from '@gantry/contracts/identity';
import type { OrganizationRole } from '@gantry/contracts/access';
import { connectionOf, fromEnum, pageOf } from './connection.js';
import type { GraphqlContext } from './context.js';

type Context = GraphqlContext;
type Page = { first?: number; after?: string };
interface RoleInput {
  userId: string;
  organizationId: string;
  role: string;
}

const roleOf = (input: RoleInput) => ({ ...input, role: fromEnum<OrganizationRole>(input.role) });

/** Users, organizations, tokens. */
export const identityResolvers = {
  Query: {
    me: async (_: unknown, __: unknown, context: Context) =>
      context.load.user.load((await context.session()).principal.userId),
    organizations: async (_: unknown, args: Page, { call }: Context) =>
      connectionOf(await call(ListOrganizations, pageOf(args))),
    users: async (_: unknown, args: Page, { call }: Context) =>
      connectionOf(await call(ListUsers, pageOf(args))),
  },
  Mutation: {
    createOrganization: async (_: unknown, { input }: { input: { name: string } }, { call, load }: Context) =>
      load.organization.load((await call(CreateOrganization, input)).id),
    setOrganizationDefaultEnvironment: async (
      _: unknown,
      { id, executionEnvironmentId = null }: { id: string; executionEnvironmentId?: string | null },
      { call, load }: Context,
    ) => {
      await call(SetOrganizationDefaultEnvironment, { id, executionEnvironmentId });
      return load.organization.load(id);
    },
    createUser: async (_: unknown, { input }: { input: { username: string } }, { call, load }: Context) =>
      load.user.load((await call(CreateUser, input)).id),
    grantRole: async (_: unknown, { input }: { input: RoleInput }, { call, load }: Context) => {
      await call(GrantRole, roleOf(input));
      return load.user.load(input.userId);
    },
    revokeRole: async (_: unknown, { input }: { input: RoleInput }, { call, load }: Context) => {
      await call(RevokeRole, roleOf(input));
      return load.user.load(input.userId);
    },
    issueToken: (_: unknown, { input }: { input: { userId?: string } }, { call }: Context) =>
      call(IssueToken, input),
    revokeToken: async (_: unknown, { id }: { id: string }, { call }: Context) => {
      await call(RevokeToken, { id });
      return true;
    },
  },
};
