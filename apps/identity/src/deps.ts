import type { EventLog } from '@gantry/eventlog/log';
import type { ServiceKit } from '@gantry/service/kit';
import type pg from 'pg';
import type { Signer } from './adapters/signing-key.js';
import type { TokenCache } from './token-cache.js';

/** What identity's commands work with. */
export interface IdentityDeps {
  call: ServiceKit['call'];
  pool: pg.Pool;
  log: EventLog;
  signer: Signer;
  cache: TokenCache;
}
