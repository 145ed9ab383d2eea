import { runService } from '@gantry/service/boot';
import { gatewayModule } from './app.module.js';
import { readGatewayConfig } from './config.js';

const config = readGatewayConfig();
await runService('gateway', gatewayModule(config), config.base);
