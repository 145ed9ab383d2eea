import { baseConfig, readConfig } from '@gantry/service/config';
import { z } from 'zod';

const Environment = z.object({
  /** Private Ed25519 JWK that signs assertions; made on the first start when missing. Replicas share it. */
  GANTRY_IDENTITY_SIGNING_KEY_FILE: z.string(),
  /** Where the first start writes the administrator's token (mode 0600). */
  GANTRY_IDENTITY_ADMIN_TOKEN_FILE: z.string(),
  /** 1: when that file is lost, issue a new token and revoke the old one. */
  GANTRY_IDENTITY_REISSUE_ADMIN_TOKEN: z.enum(['0', '1']).default('0'),
});

/** Identity's configuration; the only reader of its environment. */
export const readIdentityConfig = (env: NodeJS.ProcessEnv = process.env) => {
  const own = readConfig(Environment, env);
  return {
    base: baseConfig('identity', env),
    signingKeyFile: own.GANTRY_IDENTITY_SIGNING_KEY_FILE,
    adminTokenFile: own.GANTRY_IDENTITY_ADMIN_TOKEN_FILE,
    reissueAdminToken: own.GANTRY_IDENTITY_REISSUE_ADMIN_TOKEN === '1',
  };
};

/** Identity's configuration. */
export type IdentityConfig = ReturnType<typeof readIdentityConfig>;
