import { baseConfig, readConfig, type BaseConfig } from '@gantry/service/config';
import { z } from 'zod';
import type { SeedSettings } from './seed.js';

/** The registry's configuration. */
export interface RegistryConfig {
  base: BaseConfig;
  seed: SeedSettings;
}

const Environment = z
  .object({
    /** Image that was built on this machine; none = no local execution environment. */
    GANTRY_REGISTRY_LOCAL_EE_IMAGE: z.string().optional(),
    /** Default of jobs that name none; left out: local where there is a local image. */
    GANTRY_REGISTRY_DEFAULT: z.enum(['local', 'quay']).optional(),
  })
  .refine(
    (env) => env.GANTRY_REGISTRY_DEFAULT !== 'local' || env.GANTRY_REGISTRY_LOCAL_EE_IMAGE !== undefined,
    {
      path: ['GANTRY_REGISTRY_LOCAL_EE_IMAGE'],
      message: 'is needed when the default is local',
    },
  );

/** The only reader of the registry's environment. */
export const readRegistryConfig = (env: NodeJS.ProcessEnv = process.env): RegistryConfig => {
  const { GANTRY_REGISTRY_LOCAL_EE_IMAGE: localImage = null, GANTRY_REGISTRY_DEFAULT: chosen } = readConfig(
    Environment,
    env,
  );
  return {
    base: baseConfig('registry', env),
    seed: { localImage, defaultIs: chosen ?? (localImage === null ? 'quay' : 'local') },
  };
};
