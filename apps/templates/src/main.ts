import { runService } from '@gantry/service/boot';
import { templatesModule } from './app.module.js';
import { readTemplatesConfig } from './config.js';

const config = readTemplatesConfig();
await runService('templates', templatesModule(config), config.base);
