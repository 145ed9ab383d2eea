/** What the registry's commands share. */
import { can, type Principal } from '@gantry/contracts/access';
import { eeEvents } from '@gantry/contracts/ee';
import type { EventLog } from '@gantry/eventlog/log';
import type { Logger, ServiceKit } from '@gantry/service/kit';
import type pg from 'pg';
import { evolve, noSuchEnvironment } from './domain/execution-environment.js';
import { findExecutionEnvironment, type Found } from './execution-environment.projection.js';
import type { ImageLookup } from './image-lookup.js';

/** Handed to every command. */
export interface Registry {
  pool: pg.Pool;
  log: EventLog;
  /** Quoted: `"registry"`. */
  schema: string;
  call: ServiceKit['call'];
  logger: Logger;
  lookup: ImageLookup;
  /** What pods run on: `linux/amd64`. */
  platforms: readonly string[];
}

/** The aggregate of one execution environment, for `decideAndAppend` and `loadAggregate`. */
export const aggregate = (log: EventLog, id: string) => ({
  log,
  stream: `execution_environment-${id}`,
  initial: null,
  evolve,
  catalogue: eeEvents,
});

/** One that this person may see. Throws `not_found`. */
export const visible = async (registry: Registry, id: string, principal: Principal): Promise<Found> => {
  const environment = await findExecutionEnvironment(registry, id.toLowerCase());
  if (!environment || !can(principal, 'read', environment.organizationId ?? null))
    throw noSuchEnvironment(id);
  return environment;
};
