import {
  ListExecutionEnvironments,
  MakeDefaultExecutionEnvironment,
  NoteDigest,
  RegisterExecutionEnvironment,
  ResolveExecutionEnvironment,
  ExecutionEnvironmentDigestResolved,
} from '@gantry/contracts/ee';
import { parseEvent } from '@gantry/contracts/envelope';
import {
  CompareImages,
  DescribeImages,
  FindPackage,
  GetImageContents,
  InspectImage,
  ListImagePackages,
  NoteImageContents,
  NoteImageOnEngine,
  NoteInspectionFailure,
} from '@gantry/contracts/image';
import { identifier } from '@gantry/eventlog/sql';
import { systemContext } from '@gantry/service/context';
import type { ServiceKit } from '@gantry/service/kit';
import { KIT, ServiceModule } from '@gantry/service/module';
import { Module, type DynamicModule } from '@nestjs/common';
import { createLookup } from './adapters/oci-registry.js';
import type { RegistryConfig } from './config.js';
import {
  makeDefaultExecutionEnvironment,
  noteEngineDigest,
  registerExecutionEnvironment,
  resolveExecutionEnvironment,
} from './execution-environment.commands.js';
import {
  executionEnvironmentProjection,
  listExecutionEnvironments,
} from './execution-environment.projection.js';
import {
  compareImages,
  getImageContents,
  inspectImage,
  noteImageContents,
  noteInspectionFailure,
  seeImage,
} from './image.commands.js';
import { describeImages, findPackage, imageProjection, listImagePackages } from './image.projection.js';
import type { Registry } from './registry.js';
import { seedExecutionEnvironments } from './seed.js';

/** The registry: execution environments and what their images are. */
@Module({})
export class RegistryModule {
  static forRoot(config: RegistryConfig): DynamicModule {
    return {
      module: RegistryModule,
      imports: [ServiceModule.forRoot(config.base)],
      providers: [
        { provide: 'registry', inject: [KIT], useFactory: (kit: ServiceKit) => bindRegistry(kit, config) },
      ],
    };
  }
}

const bindRegistry = (kit: ServiceKit, config: RegistryConfig): Registry => {
  const log = kit.log!;
  const registry: Registry = {
    pool: kit.pool,
    log,
    table: `${identifier(log.schema)}.execution_environment`,
    lookup: createLookup(),
  };
  const projection = kit.project(executionEnvironmentProjection(registry.table));
  kit.onStart(async () => {
    await seedExecutionEnvironments(registry, config.seed, systemContext(kit).meta());
    // The first job may come at once and needs the default.
    await projection.caughtUp(await log.last(), { timeoutMs: 10_000 });
  });

  kit.handle(RegisterExecutionEnvironment, (input, context) =>
    registerExecutionEnvironment(registry, input, context),
  );
  kit.handle(ListExecutionEnvironments, (input, context) =>
    listExecutionEnvironments(registry, input, context.principal!),
  );
  kit.handle(MakeDefaultExecutionEnvironment, (input, context) =>
    makeDefaultExecutionEnvironment(registry, input, context),
  );
  kit.handle(ResolveExecutionEnvironment, (input, context) =>
    resolveExecutionEnvironment(registry, input, context),
  );
  kit.handle(NoteDigest, (input, context) => noteEngineDigest(registry, input, context));
  bindImages(kit, registry);
  return registry;
};

const bindImages = (kit: ServiceKit, registry: Registry): void => {
  kit.project(imageProjection(registry.log.schema));
  kit.react({
    purpose: 'images',
    types: [ExecutionEnvironmentDigestResolved.type],
    handle: async (envelope, context) => {
      const { type, version, data } = envelope;
      const event = parseEvent({ ExecutionEnvironmentDigestResolved }, { type, version, data });
      if (event) await seeImage(registry, { ...event.data, onEngine: false }, context);
    },
  });
  kit.handle(NoteImageOnEngine, (input, context) =>
    seeImage(registry, { ...input, onEngine: true }, context),
  );
  kit.handle(NoteImageContents, (input, context) => noteImageContents(registry, input, context));
  kit.handle(NoteInspectionFailure, (input, context) => noteInspectionFailure(registry, input, context));
  kit.handle(InspectImage, (input, context) => inspectImage(registry, input, context));
  kit.handle(DescribeImages, async ({ digests }, context) => ({
    items: await describeImages(registry, digests, context.principal!),
  }));
  kit.handle(ListImagePackages, (input, context) => listImagePackages(registry, input, context.principal!));
  kit.handle(GetImageContents, ({ digest }, context) =>
    getImageContents(registry, digest, context.principal!),
  );
  kit.handle(CompareImages, (input, context) => compareImages(registry, input, context.principal!));
  kit.handle(FindPackage, (input, context) => findPackage(registry, input, context.principal!));
};
