import { Module, type Type } from '@nestjs/common';
import type { ServiceKit } from '@gantry/service/kit';
import { KIT, ServiceModule } from '@gantry/service/module';
import type { GatewayConfig } from './config.js';
import { mountGateway } from './http.js';

/** The gateway as a Nest module: GraphQL, the plain endpoints and the page on the service's own HTTP server. */
export const gatewayModule = (config: GatewayConfig): Type => {
  @Module({
    imports: [ServiceModule.forRoot(config.base)],
    providers: [
      { provide: 'gateway', inject: [KIT], useFactory: (kit: ServiceKit) => mountGateway(kit, config) },
    ],
  })
  class GatewayModule {}
  return GatewayModule;
};
