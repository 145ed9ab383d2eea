import { runService } from '@gantry/service/boot';
import { identityModule } from './app.module.js';
import { readIdentityConfig } from './config.js';

const config = readIdentityConfig();
await runService('identity', identityModule(config), config.base);
