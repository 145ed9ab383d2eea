import { Module, type DynamicModule, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { KIT, type ServiceKit } from '@gantry/service/kit';
import { ServiceModule } from '@gantry/service/module';
import type { GatewayConfig } from './config.js';
import { mountGateway } from './http.js';

class Gateway implements OnModuleInit {
  constructor(
    private readonly kit: ServiceKit,
    private readonly adapter: HttpAdapterHost,
    private readonly config: GatewayConfig,
  ) {}

  async onModuleInit(): Promise<void> {
    const { httpAdapter } = this.adapter;
    await mountGateway(this.kit, this.config, httpAdapter.getInstance(), httpAdapter.getHttpServer());
  }
}

@Module({})
class GatewayModule {}

/** The gateway as a Nest module. */
export const gatewayModule = (config: GatewayConfig): DynamicModule => ({
  module: GatewayModule,
  imports: [ServiceModule.forRoot(config.base)],
  providers: [
    {
      provide: Gateway,
      inject: [KIT, HttpAdapterHost],
      useFactory: (kit: ServiceKit, adapter: HttpAdapterHost) => new Gateway(kit, adapter, config),
    },
  ],
});
