import {
  ChangeExecutionEnvironment,
  CheckImage,
  CreateExecutionEnvironment,
  DeleteExecutionEnvironment,
  ListCurrentImages,
  ListDigestHistory,
  ListExecutionEnvironments,
  ListExecutionEnvironmentUsers,
  LookUpDigest,
  MakeDefaultExecutionEnvironment,
  NoteDigest,
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
import { createRegistryClient } from './adapters/oci-registry.js';
import type { RegistryConfig } from './config.js';
import { digestHistoryProjection, listDigestHistory } from './digest-history.projection.js';
import { lookUpWhatIsDue } from './digest-schedule.js';
import {
  changeExecutionEnvironment,
  createExecutionEnvironment,
  deleteExecutionEnvironment,
  makeDefaultExecutionEnvironment,
} from './execution-environment.commands.js';
import {
  executionEnvironmentProjection,
  listCurrentImages,
  listExecutionEnvironments,
} from './execution-environment.projection.js';
import { listUsers } from './execution-environment.users.js';
import {
  compareImages,
  getImageContents,
  inspectImage,
  noteImageContents,
  noteInspectionFailure,
  seeImage,
} from './image.commands.js';
import { describeImages, findPackage, imageProjection, listImagePackages } from './image.projection.js';
import { createImageLookup } from './image-lookup.js';
import { visible, type Registry } from './registry.js';
import {
  checkImage,
  lookUpDigest,
  noteEngineDigest,
  resolveExecutionEnvironment,
} from './resolve.commands.js';
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

/** How often the schedule is looked at; never longer than its own interval. */
const mostTickSeconds = 15;

const bindRegistry = (kit: ServiceKit, config: RegistryConfig): Registry => {
  const log = kit.log!;
  const client = createRegistryClient(config.registries);
  const registry: Registry = {
    pool: kit.pool,
    log,
    schema: identifier(log.schema),
    call: kit.call,
    logger: kit.logger,
    lookup: createImageLookup(client.lookup, kit.call),
    platforms: config.platforms,
  };
  kit.onStop(() => client.close());
  const projection = kit.project(executionEnvironmentProjection(registry.schema));
  kit.project(digestHistoryProjection(registry.schema));
  kit.onStart(async () => {
    await seedExecutionEnvironments(registry, config.seed, systemContext(kit).meta());
    // The first job may come at once and needs the default.
    await projection.caughtUp(await log.last(), { timeoutMs: 10_000 });
  });
  if (config.lookupSeconds > 0) {
    const tick = Math.min(mostTickSeconds, config.lookupSeconds) * 1_000;
    kit.every('digests', tick, async () => {
      await lookUpWhatIsDue(registry, config.lookupSeconds, systemContext(kit), kit.signal);
    });
  }

  kit.handle(CreateExecutionEnvironment, (input, context) =>
    createExecutionEnvironment(registry, input, context),
  );
  kit.handle(ChangeExecutionEnvironment, (input, context) =>
    changeExecutionEnvironment(registry, input, context),
  );
  kit.handle(DeleteExecutionEnvironment, (input, context) =>
    deleteExecutionEnvironment(registry, input, context),
  );
  kit.handle(ListExecutionEnvironmentUsers, (input, context) => listUsers(registry, input, context));
  kit.handle(ListExecutionEnvironments, (input, context) =>
    listExecutionEnvironments(registry, input, context.principal!),
  );
  kit.handle(ListDigestHistory, async (input, context) => {
    await visible(registry, input.id, context.principal!);
    return listDigestHistory(registry, input);
  });
  kit.handle(LookUpDigest, (input, context) => lookUpDigest(registry, input, context));
  kit.handle(ListCurrentImages, async () => ({ images: await listCurrentImages(registry) }));
  kit.handle(MakeDefaultExecutionEnvironment, (input, context) =>
    makeDefaultExecutionEnvironment(registry, input, context),
  );
  kit.handle(ResolveExecutionEnvironment, (input, context) =>
    resolveExecutionEnvironment(registry, input, context),
  );
  kit.handle(CheckImage, (input, context) => checkImage(registry, input, context));
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
