/** What the registry's commands share. */
import type { EventLog } from '@gantry/eventlog/log';
import type pg from 'pg';
import { eeEvents } from '@gantry/contracts/ee';
import type { LookupDigest } from './adapters/oci-registry.js';
import { evolve } from './domain/execution-environment.js';

/** Handed to every command. */
export interface Registry {
  pool: pg.Pool;
  log: EventLog;
  /** Quoted and qualified: `"registry".execution_environment`. */
  table: string;
  lookup: LookupDigest;
}

/** The aggregate of one execution environment, for `decideAndAppend` and `loadAggregate`. */
export const aggregate = (log: EventLog, id: string) => ({
  log,
  stream: `execution_environment-${id}`,
  initial: null,
  evolve,
  catalogue: eeEvents,
});
