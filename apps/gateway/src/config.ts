import { baseConfig, readConfig } from '@gantry/service/config';
import { z } from 'zod';

const Environment = z.object({
  /** Folder with the built page; none = no page is served. */
  GANTRY_GATEWAY_WEB_DIR: z.string().optional(),
  /** Largest request body in MiB: an inventory of 60,000 hosts has to fit. */
  GANTRY_GATEWAY_MAX_BODY_MIB: z.coerce.number().int().min(1).max(256).default(64),
});

/** The gateway's configuration; the only reader of its environment. */
export const readGatewayConfig = (env: NodeJS.ProcessEnv = process.env) => {
  const own = readConfig(Environment, env);
  return {
    base: baseConfig('gateway', env),
    webDir: own.GANTRY_GATEWAY_WEB_DIR,
    maxBodyMib: own.GANTRY_GATEWAY_MAX_BODY_MIB,
    /** How long a watcher may take for one piece of output before it counts as not reading. */
    stallMilliseconds: 60_000,
  };
};

/** The gateway's configuration. */
export type GatewayConfig = ReturnType<typeof readGatewayConfig>;
