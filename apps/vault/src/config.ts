import { baseConfig, readConfig, type BaseConfig } from '@gantry/service/config';
import { z } from 'zod';

/** The vault's configuration. */
export interface VaultConfig {
  base: BaseConfig;
  /** File of the key-encryption keys; made on the first start. */
  keyFile: string;
}

/** The only reader of the vault's environment: GANTRY_VAULT_KEY_FILE and what every service needs. */
export const readVaultConfig = (env: NodeJS.ProcessEnv = process.env): VaultConfig => {
  const own = readConfig(z.object({ GANTRY_VAULT_KEY_FILE: z.string() }), env);
  return { base: baseConfig('vault', env), keyFile: own.GANTRY_VAULT_KEY_FILE };
};
