import {
  ListExecutionEnvironments,
  MakeDefaultExecutionEnvironment,
  NoteDigest,
  RegisterExecutionEnvironment,
  ResolveExecutionEnvironment,
} from '@gantry/contracts/ee';
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
  return registry;
};
