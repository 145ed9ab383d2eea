import { runService } from '@gantry/service/boot';
import { config, GatewayModule } from './app.module.js';

await runService('gateway', GatewayModule, config.base);
