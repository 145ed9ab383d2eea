/** The Nest module that every service imports. */
import { Module, type DynamicModule } from '@nestjs/common';
import type { BaseConfig } from './config.js';
import { createKit } from './create-kit.js';
import { KIT } from './kit.js';

export { KIT };

/** Global: provides `KIT`. */
@Module({})
export class ServiceModule {
  /** Connects while the application is made. */
  static forRoot(config: BaseConfig): DynamicModule {
    return {
      module: ServiceModule,
      global: true,
      providers: [{ provide: KIT, useFactory: () => createKit(config) }],
      exports: [KIT],
    };
  }
}
