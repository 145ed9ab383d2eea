import { readFileSync } from 'node:fs';
import { PlatformError } from '@gantry/contracts/errors';
import { baseConfig, readConfig } from '@gantry/service/config';
import { z } from 'zod';

const Environment = z.object({
  /** Docker Engine API of Docker or Podman. */
  GANTRY_LAUNCHER_CONTAINER_HOST: z
    .string()
    .regex(/^(unix:\/\/\/|tcp:\/\/|https?:\/\/)/, 'must begin with unix:///, tcp://, http:// or https://'),
  /** Where pods find ingest. */
  GANTRY_LAUNCHER_PODS_URL: z
    .string()
    .regex(/^(unix:\/\/\/|https?:\/\/)/, 'must begin with unix:///, http:// or https://'),
  /** Holds 32 bytes as base64; every launcher of an installation has the same. */
  GANTRY_LAUNCHER_POD_TOKEN_KEY_FILE: z.string(),
  GANTRY_LAUNCHER_AGENT_FILE: z.string(),
  /** The program that says what an image is made of. */
  GANTRY_LAUNCHER_INSPECTOR_FILE: z.string(),
  /** bridge | none | host | name of a network. */
  GANTRY_LAUNCHER_POD_NETWORK: z.string().default('bridge'),
  GANTRY_LAUNCHER_POD_MEMORY_MIB: z.coerce.number().int().min(128).default(2_048),
  /** 0 = no limit. */
  GANTRY_LAUNCHER_POD_CPUS: z.coerce.number().min(0).default(0),
  GANTRY_LAUNCHER_POD_PROCESSES: z.coerce.number().int().min(32).default(1_024),
  /** Jobs that may have a pod at the same time. */
  GANTRY_LAUNCHER_MAX_CONCURRENT_JOBS: z.coerce.number().int().min(1).default(10),
  /** How often an image is asked for when its registry is away; the first time included. */
  GANTRY_LAUNCHER_PULL_ATTEMPTS: z.coerce.number().int().min(1).max(10).default(3),
  /** One attempt takes at most so long. */
  GANTRY_LAUNCHER_PULL_TIMEOUT_SECONDS: z.coerce.number().int().min(1).default(1_800),
  /** Images that nothing needs and nobody has used for so long are removed; 0 = none ever is, unless somebody asks. */
  GANTRY_LAUNCHER_IMAGE_KEEP_DAYS: z.coerce.number().min(0).max(3_650).default(0),
});

const read = (variable: string, file: string): Buffer => {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new PlatformError(
      'invalid',
      `${variable} names ${file}, which cannot be read: ${(cause as Error).message}.`,
      { cause },
    );
  }
};

const readKey = (variable: string, file: string): Buffer => {
  const key = Buffer.from(read(variable, file).toString('utf8').trim(), 'base64');
  if (key.length !== 32)
    throw new PlatformError('invalid', `${variable} names ${file}, which must hold 32 bytes as base64.`);
  return key;
};

/** The launcher's configuration; the only reader of its environment. */
export const readLauncherConfig = (env: Record<string, string | undefined> = process.env) => {
  const own = readConfig(Environment, env);
  return {
    base: baseConfig('launcher', env),
    containerHost: own.GANTRY_LAUNCHER_CONTAINER_HOST,
    podsUrl: own.GANTRY_LAUNCHER_PODS_URL,
    podTokenKey: readKey('GANTRY_LAUNCHER_POD_TOKEN_KEY_FILE', own.GANTRY_LAUNCHER_POD_TOKEN_KEY_FILE),
    agentSource: read('GANTRY_LAUNCHER_AGENT_FILE', own.GANTRY_LAUNCHER_AGENT_FILE),
    inspectorSource: read('GANTRY_LAUNCHER_INSPECTOR_FILE', own.GANTRY_LAUNCHER_INSPECTOR_FILE),
    podNetwork: own.GANTRY_LAUNCHER_POD_NETWORK,
    podLimits: {
      memoryBytes: own.GANTRY_LAUNCHER_POD_MEMORY_MIB * 1024 * 1024,
      cpus: own.GANTRY_LAUNCHER_POD_CPUS,
      processes: own.GANTRY_LAUNCHER_POD_PROCESSES,
    },
    pullSettings: {
      attempts: own.GANTRY_LAUNCHER_PULL_ATTEMPTS,
      timeoutMilliseconds: own.GANTRY_LAUNCHER_PULL_TIMEOUT_SECONDS * 1_000,
    },
    imageKeepDays: own.GANTRY_LAUNCHER_IMAGE_KEEP_DAYS,
    maxConcurrentJobs: own.GANTRY_LAUNCHER_MAX_CONCURRENT_JOBS,
  };
};

/** The launcher's configuration. */
export type LauncherConfig = ReturnType<typeof readLauncherConfig>;
