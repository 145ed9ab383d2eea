import { Module } from '@nestjs/common';
import type { ServiceKit } from '@gantry/service/kit';
import { KIT, ServiceModule } from '@gantry/service/module';
import { readGatewayConfig } from './config.js';
import { mountGateway } from './http.js';

/** The gateway's configuration, read once. */
export const config = readGatewayConfig();

/** The gateway: GraphQL and the page on the service's own HTTP server. */
@Module({
  imports: [ServiceModule.forRoot(config.base)],
  providers: [
    { provide: 'gateway', inject: [KIT], useFactory: (kit: ServiceKit) => mountGateway(kit, config) },
  ],
})
export class GatewayModule {}
