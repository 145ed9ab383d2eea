import type { ExecutionEnvironment } from '@gantry/contracts/ee';
import { errorTreatments, isPlatformError } from '@gantry/contracts/errors';
import {
  CompareImages,
  FindPackage,
  ImageDigest,
  InspectImage,
  ListImagePackages,
  type Image,
  type ImagePackage,
  type PackageKind,
} from '@gantry/contracts/image';
import { connectionOf, fromEnum, pageOf, toEnum } from './connection.js';
import type { GraphqlContext } from './context.js';

type Context = GraphqlContext;
type Page = { first?: number; after?: string };
interface HolderNode extends ImagePackage {
  executionEnvironmentId: string;
  digest: string;
}

/** What a client handles becomes a member of the result union; the rest stays an error. */
const refusal = (error: unknown): object => {
  if (isPlatformError(error) && ['invalid', 'refused', 'forbidden', 'not_found'].includes(error.code))
    return {
      __typename: 'InspectImageRefused',
      code: errorTreatments[error.code].graphql,
      message: error.message,
    };
  throw error;
};

const kindOf = (kind: string | null | undefined): PackageKind | null =>
  kind ? fromEnum<PackageKind>(kind) : null;
const kind = ({ kind: own }: { kind: string }): string => toEnum(own);

/** Images by digest: what is in them, how they differ, who holds a package. */
export const imageResolvers = {
  Query: {
    image: (_: unknown, { digest }: { digest: string }, { load }: Context) =>
      ImageDigest.safeParse(digest).success ? load.image.load(digest) : null,
    compareImages: (_: unknown, { from, to }: { from: string; to: string }, { call }: Context) =>
      call(CompareImages, { from, to }),
    packageHolders: async (
      _: unknown,
      args: Page & { name: string; kind?: string | null; version?: string | null },
      { call }: Context,
    ) => {
      const { name, version } = args;
      return connectionOf(
        await call(FindPackage, { ...pageOf(args), name, version, kind: kindOf(args.kind) }),
      );
    },
  },
  Mutation: {
    inspectImage: (_: unknown, { digest }: { digest: string }, { call, load }: Context) =>
      call(InspectImage, { digest })
        .then(async () => ({ __typename: 'InspectedImage', image: await load.image.load(digest) }))
        .catch(refusal),
  },
  ExecutionEnvironment: {
    contents: ({ digest }: ExecutionEnvironment, _: unknown, { load }: Context) =>
      digest === null ? null : load.image.load(digest),
  },
  Image: {
    executionEnvironments: async ({ executionEnvironmentIds }: Image, _: unknown, { load }: Context) =>
      (await load.executionEnvironment.loadMany(executionEnvironmentIds)).filter((ee) => ee !== null),
    inspection: ({ inspection }: Image) => toEnum(inspection),
    problems: ({ report }: Image) => report?.problems ?? [],
    operatingSystem: ({ report }: Image) => report?.os.name ?? report?.os.id ?? null,
    python: ({ report }: Image) => report?.python?.version ?? null,
    ansibleCore: ({ report }: Image) => report?.ansibleCore ?? null,
    ansibleRunner: ({ report }: Image) => report?.ansibleRunner ?? null,
    sizeBytes: ({ config }: Image) => config?.sizeBytes ?? null,
    architecture: ({ config }: Image) => config?.architecture ?? null,
    user: ({ config }: Image) => config?.user ?? null,
    workingDirectory: ({ config }: Image) => config?.workingDirectory ?? null,
    entrypoint: ({ config }: Image) => config?.entrypoint ?? [],
    command: ({ config }: Image) => config?.command ?? [],
    labels: ({ config }: Image) =>
      Object.entries(config?.labels ?? {}).map(([name, value]) => ({ name, value })),
    createdAt: ({ config }: Image) => config?.createdAt ?? null,
    packages: async (
      { digest }: Image,
      args: Page & { kind?: string | null; search?: string | null },
      { call }: Context,
    ) =>
      connectionOf(
        await call(ListImagePackages, {
          ...pageOf(args),
          digest,
          kind: kindOf(args.kind),
          search: args.search,
        }),
      ),
    sbomUrl: ({ digest }: Image) => `/api/images/${digest}/sbom`,
  },
  PackageCount: { kind },
  ImagePackage: { kind },
  ChangedPackage: { kind },
  PackageHolder: {
    executionEnvironment: ({ executionEnvironmentId }: HolderNode, _: unknown, { load }: Context) =>
      load.executionEnvironment.load(executionEnvironmentId),
    image: ({ digest }: HolderNode, _: unknown, { load }: Context) => load.image.load(digest),
    package: (node: HolderNode) => node,
  },
};
