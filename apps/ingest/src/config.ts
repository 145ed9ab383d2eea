/** Ingest's environment; the only reader of process.env here. */
import { isAbsolute } from 'node:path';
import { AddressText, baseConfig, readConfig, type Address, type BaseConfig } from '@gantry/service/config';
import { z } from 'zod';
import { ARCHIVE_URL, openArchive } from './adapters/archive.js';
import type { RetentionSettings } from './retention.js';

const Days = z.coerce.number().int().min(0).max(36_500).default(0);

/** What ingest is told. */
export interface IngestConfig {
  base: BaseConfig;
  /** GANTRY_INGEST_PODS_HTTP: where pods call. */
  podsHttp: Address;
  /** GANTRY_INGEST_PODS_SOCKET: a Unix socket to listen on as well, mounted into the pods of this host. */
  podsSocket: string | null;
  /** GANTRY_INGEST_ALLOW_UNSAFE=1: start although Postgres may lose commits. For tests. */
  allowUnsafe: boolean;
  /** GANTRY_INGEST_JOB_EVENTS: committed batches are published on JetStream, for other systems. On when left out. */
  jobEvents?: boolean;
  /** GANTRY_INGEST_RETENTION_DAYS, GANTRY_INGEST_RETENTION_SUMMARY_DAYS, GANTRY_INGEST_ARCHIVE and what belongs to it. */
  retention: RetentionSettings;
  /** GANTRY_INGEST_RETENTION_SWEEP_SECONDS: between two sweeps. */
  sweepSeconds: number;
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
      GANTRY_INGEST_JOB_EVENTS: z.enum(['0', '1']).default('1'),
      GANTRY_INGEST_RETENTION_DAYS: Days,
      GANTRY_INGEST_RETENTION_SUMMARY_DAYS: Days,
      GANTRY_INGEST_RETENTION_SWEEP_SECONDS: z.coerce.number().int().min(1).max(86_400).default(3_600),
      GANTRY_INGEST_ARCHIVE: z
        .string()
        .regex(ARCHIVE_URL, 'must be file:///folder or s3://bucket, or s3://bucket/prefix')
        .optional(),
      GANTRY_INGEST_ARCHIVE_S3_ENDPOINT: z.url({ protocol: /^https?$/ }).optional(),
      GANTRY_INGEST_ARCHIVE_S3_REGION: z.string().min(1).default('us-east-1'),
      GANTRY_INGEST_ARCHIVE_S3_PATH_STYLE: z.enum(['0', '1']).default('0'),
      GANTRY_INGEST_ARCHIVE_S3_CREDENTIALS_FILE: z
        .string()
        .refine(isAbsolute, 'must be an absolute path')
        .optional(),
      GANTRY_INGEST_ARCHIVE_S3_ACCESS_KEY_ID: z.string().min(1).optional(),
      GANTRY_INGEST_ARCHIVE_S3_SECRET_ACCESS_KEY: z.string().min(1).optional(),
      GANTRY_INGEST_ARCHIVE_S3_CA_FILE: z.string().refine(isAbsolute, 'must be an absolute path').optional(),
    }),
    env,
  );
  return Object.freeze({
    base: baseConfig('ingest', env),
    podsHttp: read.GANTRY_INGEST_PODS_HTTP,
    podsSocket: read.GANTRY_INGEST_PODS_SOCKET ?? null,
    allowUnsafe: read.GANTRY_INGEST_ALLOW_UNSAFE === '1',
    jobEvents: read.GANTRY_INGEST_JOB_EVENTS === '1',
    retention: {
      keepDays: read.GANTRY_INGEST_RETENTION_DAYS,
      summaryDays: read.GANTRY_INGEST_RETENTION_SUMMARY_DAYS,
      archive:
        read.GANTRY_INGEST_ARCHIVE === undefined
          ? null
          : openArchive(read.GANTRY_INGEST_ARCHIVE, {
              endpoint: read.GANTRY_INGEST_ARCHIVE_S3_ENDPOINT,
              region: read.GANTRY_INGEST_ARCHIVE_S3_REGION,
              pathStyle: read.GANTRY_INGEST_ARCHIVE_S3_PATH_STYLE === '1',
              credentialsFile: read.GANTRY_INGEST_ARCHIVE_S3_CREDENTIALS_FILE,
              accessKeyId: read.GANTRY_INGEST_ARCHIVE_S3_ACCESS_KEY_ID,
              secretAccessKey: read.GANTRY_INGEST_ARCHIVE_S3_SECRET_ACCESS_KEY,
              caFile: read.GANTRY_INGEST_ARCHIVE_S3_CA_FILE,
            }),
    },
    sweepSeconds: read.GANTRY_INGEST_RETENTION_SWEEP_SECONDS,
  });
};
