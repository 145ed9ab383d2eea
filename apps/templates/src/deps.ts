import type { ObjectStore } from '@gantry/bus/objects';
import type { EventLog } from '@gantry/eventlog/log';
import type { Projection } from '@gantry/eventlog/projection';
import type { Logger, ServiceKit } from '@gantry/service/kit';
import type pg from 'pg';
import type { ProjectSource } from './project-source.js';
import type { Reader } from './read-model.js';

/** What the commands of templates work with. */
export interface TemplatesDeps {
  call: ServiceKit['call'];
  pool: pg.Pool;
  log: EventLog;
  objects: ObjectStore;
  logger: Logger;
  read: Reader;
  source: ProjectSource;
  /** Read models whose being caught up a snapshot depends on. */
  inventories: Projection;
  allowFile: boolean;
}
