import { runService } from '@gantry/service/boot';
import { launcherModule } from './app.module.js';
import { readLauncherConfig } from './config.js';

const config = readLauncherConfig();
await runService('launcher', launcherModule(config), config.base);
