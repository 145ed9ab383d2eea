import { runService } from '@gantry/service/boot';
import { ingestModule } from './app.module.js';
import { readIngestConfig } from './config.js';

const config = readIngestConfig();
await runService('ingest', ingestModule(config), config.base);
