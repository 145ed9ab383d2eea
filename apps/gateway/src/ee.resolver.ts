import type { InputOf } from '@gantry/contracts/command';
import {
  CreateCredential,
  ListCredentials,
  ListCredentialTypes,
  RotateCredential,
  type Credential,
} from '@gantry/contracts/credential';
import {
  ChangeExecutionEnvironment,
  CreateExecutionEnvironment,
  DeleteExecutionEnvironment,
  ListDigestHistory,
  ListExecutionEnvironments,
  ListExecutionEnvironmentUsers,
  LookUpDigest,
  MakeDefaultExecutionEnvironment,
  type DigestPeriod,
  type ExecutionEnvironment,
  type ExecutionEnvironmentUser,
} from '@gantry/contracts/ee';
import { errorTreatments, isPlatformError } from '@gantry/contracts/errors';
import type { Organization } from '@gantry/contracts/identity';
import type { Job } from '@gantry/contracts/job';
import type { Project } from '@gantry/contracts/template';
import { connectionOf, fromEnum, pageOf, toEnum } from './connection.js';
import type { GraphqlContext } from './context.js';

type Context = GraphqlContext;
type Page = { first?: number; after?: string };
type Pull = 'always' | 'missing' | 'never';
type CreateInput = Omit<InputOf<typeof CreateExecutionEnvironment>, 'pull'> & { pull?: string | null };
type ChangeInput = Omit<
  InputOf<typeof ChangeExecutionEnvironment>,
  'pull' | 'name' | 'description' | 'image'
> & { pull?: string | null; name?: string | null; description?: string | null; image?: string | null };
type PinnedImage = NonNullable<Job['pinned']>['image'];

/** What a client handles becomes a member of the result union; the rest stays an error. */
export const refusal = (error: unknown): object => {
  const handled = ['invalid', 'refused', 'forbidden', 'not_found', 'conflict'];
  if (!isPlatformError(error) || !handled.includes(error.code)) throw error;
  const { reason, users } = error.details;
  return {
    __typename: 'ExecutionEnvironmentRefused',
    code: errorTreatments[error.code].graphql,
    reason: typeof reason === 'string' ? reason : null,
    message: error.message,
    users: Array.isArray(users) ? users : [],
  };
};

/** Left out stays left out; null is only for what can be taken away. */
const changeOf = ({ pull, name, description, image, ...input }: ChangeInput) => ({
  ...input,
  ...(name !== null && name !== undefined && { name }),
  ...(description !== null && description !== undefined && { description }),
  ...(image !== null && image !== undefined && { image }),
  ...(pull !== undefined && { pull: pull === null ? null : fromEnum<Pull>(pull) }),
});

const orNull = (value: string | null | undefined): string | null => (value ? toEnum(value) : null);

const defaultEnvironment = (
  { defaultEnvironmentId: id }: Project | Organization,
  _: unknown,
  { load }: Context,
) => (id ? load.executionEnvironment.load(id) : null);

/** Execution environments and credentials: what a job runs in and with. */
export const eeResolvers = {
  Query: {
    executionEnvironments: async (_: unknown, args: Page & { name?: string | null }, { call }: Context) =>
      connectionOf(await call(ListExecutionEnvironments, { ...pageOf(args), name: args.name })),
    executionEnvironment: (_: unknown, { id }: { id: string }, { load }: Context) =>
      load.executionEnvironment.load(id),
    credentials: async (_: unknown, args: Page, { call }: Context) =>
      connectionOf(await call(ListCredentials, pageOf(args))),
    credentialTypes: async (_: unknown, __: unknown, { call }: Context) =>
      (await call(ListCredentialTypes, {})).items,
  },
  Mutation: {
    createExecutionEnvironment: async (
      _: unknown,
      { input }: { input: CreateInput },
      { call, load }: Context,
    ) => {
      const pull = input.pull ? fromEnum<Pull>(input.pull) : null;
      return load.executionEnvironment.load((await call(CreateExecutionEnvironment, { ...input, pull })).id);
    },
    changeExecutionEnvironment: (_: unknown, { input }: { input: ChangeInput }, { call, load }: Context) =>
      call(ChangeExecutionEnvironment, changeOf(input))
        .then(async () => ({
          __typename: 'ChangedExecutionEnvironment',
          executionEnvironment: await load.executionEnvironment.load(input.id),
        }))
        .catch(refusal),
    deleteExecutionEnvironment: (_: unknown, { id }: { id: string }, { call }: Context) =>
      call(DeleteExecutionEnvironment, { id })
        .then(() => ({ __typename: 'DeletedExecutionEnvironment', id }))
        .catch(refusal),
    resolveExecutionEnvironment: (_: unknown, { id }: { id: string }, { call, load }: Context) =>
      call(LookUpDigest, { id })
        .then(async (found) => ({
          __typename: 'ResolvedExecutionEnvironment',
          ...found,
          executionEnvironment: await load.executionEnvironment.load(id),
        }))
        .catch(refusal),
    makeDefaultExecutionEnvironment: async (_: unknown, { id }: { id: string }, { call, load }: Context) => {
      await call(MakeDefaultExecutionEnvironment, { id });
      return load.executionEnvironment.load(id);
    },
    createCredential: async (
      _: unknown,
      { input }: { input: InputOf<typeof CreateCredential> },
      { call, load }: Context,
    ) => load.credential.load((await call(CreateCredential, input)).id),
    rotateCredential: async (
      _: unknown,
      { input }: { input: InputOf<typeof RotateCredential> },
      { call, load }: Context,
    ) => {
      await call(RotateCredential, input);
      return load.credential.load(input.id);
    },
  },
  ExecutionEnvironment: {
    organization: (ee: ExecutionEnvironment, _: unknown, { load }: Context) =>
      ee.organizationId ? load.organization.load(ee.organizationId) : null,
    pull: (ee: ExecutionEnvironment) => orNull(ee.pull),
    credential: (ee: ExecutionEnvironment, _: unknown, { load }: Context) =>
      ee.credentialId ? load.credential.load(ee.credentialId) : null,
    history: async (ee: ExecutionEnvironment, args: Page, { call }: Context) =>
      connectionOf(await call(ListDigestHistory, { ...pageOf(args), id: ee.id })),
    users: (ee: ExecutionEnvironment, _: unknown, { call }: Context) =>
      call(ListExecutionEnvironmentUsers, { id: ee.id }),
  },
  DigestPeriod: { source: (period: DigestPeriod) => orNull(period.source) },
  ExecutionEnvironmentUser: { kind: (user: ExecutionEnvironmentUser) => toEnum(user.kind) },
  PinnedImage: {
    from: (image: PinnedImage) => orNull(image.from),
    resolution: (image: PinnedImage) => orNull(image.resolution),
  },
  Project: { defaultEnvironment },
  Organization: { defaultEnvironment },
  Credential: {
    organization: (credential: Credential, _: unknown, { load }: Context) =>
      load.organization.load(credential.organizationId),
  },
};
