/** Retention put together. */
import type { Meta } from '@gantry/contracts/envelope';
import type { EventLog } from '@gantry/eventlog/log';
import { fromPostgres } from '@gantry/eventlog/sql';
import type pg from 'pg';
import { createPartitions } from './adapters/partitions.js';
import type { Records } from './adapters/records.js';
import { createPlacement, preparePartitions, type Place } from './placement.js';
import { createArchiver, type ArchiverDependencies } from './retention.archive.js';
import type { Archive } from './retention.port.js';
import { createRetentionQueries, type RetentionQueries } from './retention.queries.js';
import { createRetentionRules, type RetentionRules } from './retention.rules.js';
import { sweep, type SweepDependencies, type SweepResult } from './retention.sweep.js';

/** How long things are kept where no rule says otherwise, and where they go. */
export interface RetentionSettings {
  /** Days that output is kept; 0 for ever. */
  keepDays: number;
  /** Days that dictionaries and host summaries outlive the output; 0 for ever. */
  summaryDays: number;
  archive: Archive | null;
  tries?: SweepDependencies['tries'];
}

/** Nothing is ever dropped. */
export const keepForEver: RetentionSettings = { keepDays: 0, summaryDays: 0, archive: null };

/** Everything of retention. */
export interface Retention {
  rules: RetentionRules;
  queries: RetentionQueries;
  place: Place;
  /** Makes the partitions of today and tomorrow. */
  prepare(): Promise<void>;
  /** One sweep, unless another replica is at it (null). `today`: as if it were that day. */
  sweep(meta: Meta, signal: AbortSignal, today?: string): Promise<SweepResult | null>;
}

/** Over the tables of the log's schema. */
export const createRetention = (deps: {
  pool: pg.Pool;
  log: EventLog;
  records: Records;
  logger: SweepDependencies['logger'];
  settings: RetentionSettings;
  /** What archives are made of besides. */
  sources: Pick<ArchiverDependencies, 'proof' | 'queries' | 'launcher'>;
}): Retention => {
  const { pool, log, records, logger, settings } = deps;
  const { keepDays: defaultKeepDays, archive } = settings;
  const { schema } = log;
  const partitions = createPartitions({ pool, schema });
  const rules = createRetentionRules({ pool, log, defaultKeepDays });
  const archiver = archive && {
    location: archive.location,
    job: createArchiver({ ...deps.sources, pool, schema, records, archive }),
  };
  return {
    rules,
    queries: createRetentionQueries({
      pool,
      schema,
      records,
      partitions,
      rules,
      defaultKeepDays,
      archive: archive?.location ?? null,
    }),
    place: createPlacement(partitions, rules),
    prepare: () => preparePartitions(pool, partitions, rules),
    sweep: (meta, signal, today) =>
      alone(pool, `gantry-${schema}-retention`, () =>
        sweep(
          { ...settings, pool, log, records, partitions, rules, archive: archiver, logger, signal },
          meta,
          today,
        ),
      ),
  };
};

/** Runs `work` if no other session has the lock; it is Postgres's, and ends with this connection at the latest. */
const alone = async <T>(pool: pg.Pool, name: string, work: () => Promise<T>): Promise<T | null> => {
  const client = await pool.connect().catch((error: unknown) => {
    throw fromPostgres(error);
  });
  let broken: Error | undefined;
  const onError = (error: Error): void => void (broken = error);
  client.on('error', onError);
  try {
    const { rows } = await client.query<{ mine: boolean }>(
      'select pg_try_advisory_lock(hashtextextended($1, 0)) as mine',
      [name],
    );
    if (!rows[0]!.mine) return null;
    try {
      return await work();
    } finally {
      await client
        .query('select pg_advisory_unlock(hashtextextended($1, 0))', [name])
        .catch((error: Error) => (broken ??= error));
    }
  } catch (error) {
    throw fromPostgres(error);
  } finally {
    client.off('error', onError);
    client.release(broken);
  }
};
