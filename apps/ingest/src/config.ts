/** Ingest's environment; the only reader of process.env here. */
import { isAbsolute } from 'node:path';
import { AddressText, baseConfig, readConfig, type Address, type BaseConfig } from '@gantry/service/config';
import { z } from 'zod';

/** What ingest is told. */
export interface IngestConfig {
  base: BaseConfig;
  /** GANTRY_INGEST_PODS_HTTP: where pods call. */
  podsHttp: Address;
  /** GANTRY_INGEST_PODS_SOCKET: a Unix socket to listen on as well, mounted into the pods of this host. */
  podsSocket: string | null;
  /** GANTRY_INGEST_ALLOW_UNSAFE=1: start although Postgres may lose commits. For tests. */
  allowUnsafe: boolean;
}

/** Reads the environment. Throws `invalid` naming the variable that is wrong. */
export const readIngestConfig = (env: Record<string, string | undefined> = process.env): IngestConfig => {
  const read = readConfig(
    z.object({
      GANTRY_INGEST_PODS_HTTP: AddressText.default({ host: '127.0.0.1', port: 4481 }),
      // Linux keeps 108 bytes for it, the last a NUL.
      GANTRY_INGEST_PODS_SOCKET: z
        .string()
        .refine(isAbsolute, 'must be an absolute path')
        .refine((path) => Buffer.byteLength(path) <= 107, 'must not be longer than 107 bytes')
        .optional(),
      GANTRY_INGEST_ALLOW_UNSAFE: z.enum(['0', '1']).default('0'),
    }),
    env,
  );
  return Object.freeze({
    base: baseConfig('ingest', env),
    podsHttp: read.GANTRY_INGEST_PODS_HTTP,
    podsSocket: read.GANTRY_INGEST_PODS_SOCKET ?? null,
    allowUnsafe: read.GANTRY_INGEST_ALLOW_UNSAFE === '1',
  });
};
