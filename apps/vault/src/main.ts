import { runService } from '@gantry/service/boot';
import { VaultModule } from './app.module.js';
import { readVaultConfig } from './config.js';

const config = readVaultConfig();
await runService('vault', VaultModule.forRoot(config), config.base);
