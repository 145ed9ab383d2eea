import type { InputOf } from '@gantry/contracts/command';
import {
  CreateCredential,
  ListCredentials,
  ListCredentialTypes,
  type Credential,
} from '@gantry/contracts/credential';
import {
  ListExecutionEnvironments,
  MakeDefaultExecutionEnvironment,
  RegisterExecutionEnvironment,
  type ExecutionEnvironment,
} from '@gantry/contracts/ee';
import { connectionOf, fromEnum, pageOf, toEnum } from './connection.js';
import type { GraphqlContext } from './context.js';

type Context = GraphqlContext;
type Page = { first?: number; after?: string };
type RegisterInput = Omit<InputOf<typeof RegisterExecutionEnvironment>, 'pull'> & { pull?: string | null };

/** Execution environments and credentials: what a job runs in and with. */
export const eeResolvers = {
  Query: {
    executionEnvironments: async (_: unknown, args: Page, { call }: Context) =>
      connectionOf(await call(ListExecutionEnvironments, pageOf(args))),
    credentials: async (_: unknown, args: Page, { call }: Context) =>
      connectionOf(await call(ListCredentials, pageOf(args))),
    credentialTypes: async (_: unknown, __: unknown, { call }: Context) =>
      (await call(ListCredentialTypes, {})).items,
  },
  Mutation: {
    registerExecutionEnvironment: async (
      _: unknown,
      { input }: { input: RegisterInput },
      { call, load }: Context,
    ) => {
      const pull = input.pull ? fromEnum<'always' | 'missing' | 'never'>(input.pull) : null;
      return load.executionEnvironment.load(
        (await call(RegisterExecutionEnvironment, { ...input, pull })).id,
      );
    },
    makeDefaultExecutionEnvironment: async (_: unknown, { id }: { id: string }, { call, load }: Context) => {
      await call(MakeDefaultExecutionEnvironment, { id });
      return load.executionEnvironment.load(id);
    },
    createCredential: async (
      _: unknown,
      { input }: { input: InputOf<typeof CreateCredential> },
      { call, load }: Context,
    ) => load.credential.load((await call(CreateCredential, input)).id),
  },
  ExecutionEnvironment: {
    organization: (ee: ExecutionEnvironment, _: unknown, { load }: Context) =>
      ee.organizationId ? load.organization.load(ee.organizationId) : null,
    pull: (ee: ExecutionEnvironment) => (ee.pull ? toEnum(ee.pull) : null),
  },
  Credential: {
    organization: (credential: Credential, _: unknown, { load }: Context) =>
      load.organization.load(credential.organizationId),
  },
};
