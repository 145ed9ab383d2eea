import type { EventLog } from '@gantry/eventlog/log';
import type pg from 'pg';
import type { Signer } from './adapters/signing-key.js';
import type { TokenCache } from './token-cache.js';

/** What identity's commands work with. */
export interface IdentityDeps {
  pool: pg.Pool;
  log: EventLog;
  signer: Signer;
  cache: TokenCache;
}
