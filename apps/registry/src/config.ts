import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { PlatformError } from '@gantry/contracts/errors';
import { baseConfig, readConfig, type BaseConfig } from '@gantry/service/config';
import { z } from 'zod';
import type { RegistrySettings } from './adapters/oci-registry.js';
import type { SeedSettings } from './seed.js';

/** The registry's configuration. */
export interface RegistryConfig {
  base: BaseConfig;
  seed: SeedSettings;
  registries: RegistrySettings;
  /** What pods run on: `linux/amd64`. */
  platforms: readonly string[];
  /** Pause between two looks at what a tag means; 0 = only launches and people look. */
  lookupSeconds: number;
}

const host = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$/i;
const hostName = z.string().regex(host, 'a registry is a host name, with a port if needed');

/** Go's names, which images use, of Node.js's processors. */
const architectures: Record<string, string> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' };

const Environment = z
  .object({
    /** Image that was built on this machine; none = no local execution environment. */
    GANTRY_REGISTRY_LOCAL_EE_IMAGE: z.string().optional(),
    /** Default of jobs that name none; left out: local where there is a local image. */
    GANTRY_REGISTRY_DEFAULT: z.enum(['local', 'quay']).optional(),
    /** PEM bundle of authorities to trust besides the usual ones. */
    GANTRY_REGISTRY_CA_FILE: z.string().optional(),
    /** JSON: `{"docker.io": ["mirror.example:5000"]}` */
    GANTRY_REGISTRY_MIRRORS: z.string().optional(),
    GANTRY_REGISTRY_PLATFORMS: z
      .string()
      .regex(/^linux\/[a-z0-9]+(,linux\/[a-z0-9]+)*$/, 'must be like linux/amd64 or linux/amd64,linux/arm64')
      .default(`linux/${architectures[process.arch] ?? process.arch}`),
    GANTRY_REGISTRY_LOOKUP_SECONDS: z.coerce.number().int().min(0).max(604_800).default(900),
    NODE_EXTRA_CA_CERTS: z.string().optional(),
  })
  .refine(
    (env) => env.GANTRY_REGISTRY_DEFAULT !== 'local' || env.GANTRY_REGISTRY_LOCAL_EE_IMAGE !== undefined,
    {
      path: ['GANTRY_REGISTRY_LOCAL_EE_IMAGE'],
      message: 'is needed when the default is local',
    },
  );

/** The only reader of the registry's environment. Throws `invalid` naming the variable. */
export const readRegistryConfig = (env: NodeJS.ProcessEnv = process.env): RegistryConfig => {
  const read = readConfig(Environment, env);
  const { GANTRY_REGISTRY_LOCAL_EE_IMAGE: localImage = null, GANTRY_REGISTRY_DEFAULT: chosen } = read;
  return {
    base: baseConfig('registry', env),
    seed: { localImage, defaultIs: chosen ?? (localImage === null ? 'quay' : 'local') },
    registries: {
      ca: readAuthorities(read.GANTRY_REGISTRY_CA_FILE, read.NODE_EXTRA_CA_CERTS),
      mirrors: readMirrors(read.GANTRY_REGISTRY_MIRRORS),
    },
    platforms: read.GANTRY_REGISTRY_PLATFORMS.split(','),
    lookupSeconds: read.GANTRY_REGISTRY_LOOKUP_SECONDS,
  };
};

/** A list of one's own replaces that of Node.js, extra ones included: so they are all in it. */
const readAuthorities = (file: string | undefined, extra: string | undefined): string[] | null => {
  if (!file) return null;
  const pem = readPem('GANTRY_REGISTRY_CA_FILE', file);
  return [...rootCertificates, ...(extra ? [readPem('NODE_EXTRA_CA_CERTS', extra)] : []), pem];
};

const readPem = (variable: string, file: string): string => {
  try {
    const pem = readFileSync(file, 'utf8');
    new X509Certificate(pem);
    return pem;
  } catch (cause) {
    throw new PlatformError('invalid', `${variable}: ${file} is not a readable file of PEM certificates.`, {
      cause,
    });
  }
};

const readMirrors = (text: string | undefined): Record<string, string[]> => {
  if (!text) return {};
  try {
    return z.record(hostName, z.array(hostName).max(10)).parse(JSON.parse(text));
  } catch (cause) {
    throw new PlatformError(
      'invalid',
      'GANTRY_REGISTRY_MIRRORS: must be JSON of lists of hosts by registry, like {"docker.io": ["mirror.example:5000"]}.',
      { cause },
    );
  }
};
