/** What the vault's commands share. */
import type { EventLog } from '@gantry/eventlog/log';
import type pg from 'pg';
import type { KeyRing } from './adapters/key-ring.js';
import type { SecretStore } from './adapters/secret-store.js';

/** Handed to every command. */
export interface Vault {
  pool: pg.Pool;
  log: EventLog;
  /** Quoted and qualified: `"vault".credential`. */
  table: string;
  store: SecretStore;
  /** There from the moment the service takes commands. */
  ring: () => KeyRing;
}
