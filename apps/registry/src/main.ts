import { runService } from '@gantry/service/boot';
import { RegistryModule } from './app.module.js';
import { readRegistryConfig } from './config.js';

const config = readRegistryConfig();
await runService('registry', RegistryModule.forRoot(config), config.base);
