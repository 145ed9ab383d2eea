/** Reading the environment: what every service needs, and how a service reads the rest. */
import type { ServiceName } from '@gantry/contracts/command';
import { PlatformError } from '@gantry/contracts/errors';
import { z } from 'zod';

/** An address to listen on. */
export interface Address {
  host: string;
  /** 0 = any free one (tests). */
  port: number;
}

/** `host:port` as an Address. */
export const AddressText = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/, 'must look like 127.0.0.1:4480')
  .transform((text): Address => {
    const colon = text.lastIndexOf(':');
    return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
  });

/** Levels of the log. */
export const LogLevel = z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']);

/** What every service is told. */
export interface BaseConfig {
  service: ServiceName;
  /** Of this service's own role; null for a service without a schema (the gateway). */
  postgresUrl: string | null;
  natsUrl: string;
  natsSeedFile?: string;
  /** Where health is served (and, at the gateway, everything else). */
  http: Address;
  logLevel: z.output<typeof LogLevel>;
  logFormat: 'json' | 'pretty';
  /** How far the publishing of events may stay behind before readiness says `degraded`. */
  lagAlarmSeconds: number;
  /** Public keys of assertions, instead of asking identity for them: for tests (`@gantry/service/testing`). */
  keys?: { keys: Record<string, unknown>[] };
}

/** Services that have no log and no tables. */
const withoutPostgres: readonly ServiceName[] = ['gateway'];

/**
 * Parses `env` by a schema whose keys are variable names. Empty variables count as unset. The result is frozen.
 * Throws `invalid` naming every variable that is wrong and why, never its value.
 */
export const readConfig = <S extends z.ZodType>(
  schema: S,
  env: Record<string, string | undefined> = process.env,
): z.output<S> => {
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = schema.safeParse(given);
  if (parsed.success) return Object.freeze(parsed.data) as z.output<S>;
  const problems = parsed.error.issues.map(
    (issue) => `${issue.path.join('.')}: ${issue.code === 'invalid_type' ? 'is needed' : issue.message}`,
  );
  throw new PlatformError('invalid', `The environment is not right. ${problems.join('; ')}.`, {
    details: { variables: parsed.error.issues.map((issue) => issue.path.join('.')) },
  });
};

/**
 * What every service needs, from GANTRY_<SERVICE>_POSTGRES_URL, GANTRY_NATS_URL, GANTRY_<SERVICE>_NATS_SEED_FILE,
 * GANTRY_<SERVICE>_HTTP, GANTRY_LOG_LEVEL (info), GANTRY_LOG_FORMAT (json) and GANTRY_LAG_ALARM_SECONDS (30). Throws `invalid` as `readConfig` does.
 */
export const baseConfig = (
  service: ServiceName,
  env: Record<string, string | undefined> = process.env,
): BaseConfig => {
  const own = `GANTRY_${service.toUpperCase()}`;
  const text: z.ZodType<string> = z.string();
  const read: Record<string, unknown> = readConfig(
    z.object({
      [`${own}_POSTGRES_URL`]: withoutPostgres.includes(service) ? text.optional() : text,
      GANTRY_NATS_URL: text,
      [`${own}_NATS_SEED_FILE`]: text.optional(),
      [`${own}_HTTP`]: AddressText,
      GANTRY_LOG_LEVEL: LogLevel.default('info'),
      GANTRY_LOG_FORMAT: z.enum(['json', 'pretty']).default('json'),
      GANTRY_LAG_ALARM_SECONDS: z.coerce.number().positive().default(30),
    }),
    env,
  );
  return Object.freeze({
    service,
    postgresUrl: (read[`${own}_POSTGRES_URL`] as string | undefined) ?? null,
    natsUrl: read['GANTRY_NATS_URL'] as string,
    natsSeedFile: read[`${own}_NATS_SEED_FILE`] as string | undefined,
    http: read[`${own}_HTTP`] as Address,
    logLevel: read['GANTRY_LOG_LEVEL'] as BaseConfig['logLevel'],
    logFormat: read['GANTRY_LOG_FORMAT'] as BaseConfig['logFormat'],
    lagAlarmSeconds: read['GANTRY_LAG_ALARM_SECONDS'] as number,
  });
};
