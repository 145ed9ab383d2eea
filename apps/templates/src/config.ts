import { baseConfig, readConfig } from '@gantry/service/config';
import { z } from 'zod';

const Environment = z.object({
  /** Where git mirrors are kept: a cache, may be lost. Not shared between replicas. */
  GANTRY_TEMPLATES_DATA_DIR: z.string(),
  /** 1: projects may come from file:// (tests only: it reads this machine's files). */
  GANTRY_TEMPLATES_ALLOW_FILE: z.enum(['0', '1']).default('0'),
  /** A git server that says nothing for so long is given up. */
  GANTRY_TEMPLATES_GIT_SILENCE_SECONDS: z.coerce.number().int().min(1).max(100).default(20),
  PATH: z.string().default('/usr/local/bin:/usr/bin:/bin'),
  HTTPS_PROXY: z.string().optional(),
  https_proxy: z.string().optional(),
  http_proxy: z.string().optional(),
  NO_PROXY: z.string().optional(),
  no_proxy: z.string().optional(),
  SSL_CERT_FILE: z.string().optional(),
});

/** Templates' configuration; the only reader of its environment. */
export const readTemplatesConfig = (env: NodeJS.ProcessEnv = process.env) => {
  const own = readConfig(Environment, env);
  const { PATH, HTTPS_PROXY, https_proxy, http_proxy, NO_PROXY, no_proxy, SSL_CERT_FILE } = own;
  const proxy = { HTTPS_PROXY, https_proxy, http_proxy, NO_PROXY, no_proxy };
  return {
    base: baseConfig('templates', env),
    git: {
      directory: own.GANTRY_TEMPLATES_DATA_DIR,
      allowFile: own.GANTRY_TEMPLATES_ALLOW_FILE === '1',
      silenceSeconds: own.GANTRY_TEMPLATES_GIT_SILENCE_SECONDS,
      /** What git gets of our environment: nothing else, so that nobody's settings or secrets reach it. */
      environment: present({ PATH, ...proxy, GIT_SSL_CAINFO: SSL_CERT_FILE }),
      /** http and https go through a proxy: their hosts cannot be tried from here. */
      proxied: [HTTPS_PROXY, https_proxy, http_proxy].some(Boolean),
    },
  };
};

const present = (values: Record<string, string | undefined>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );

/** Templates' configuration. */
export type TemplatesConfig = ReturnType<typeof readTemplatesConfig>;
