/** In which partition a job that is opened now lies: that of the day on which its rule lets it go (docs/adr/0016). */
import type { Sql } from '@gantry/eventlog/sql';
import type { Partitions } from './adapters/partitions.js';
import { addDays, partitionFor } from './domain/retention.js';
import type { RetentionRules } from './retention.rules.js';

/** Chooses the partition of a job and holds it until the transaction of `sql` ends. Answers its key. */
export type Place = (sql: Sql, organizationId: string, jobTemplateId: string | null) => Promise<string>;

/** By the rules in force. */
export const createPlacement =
  (partitions: Partitions, rules: Pick<RetentionRules, 'load'>): Place =>
  async (sql, organizationId, jobTemplateId) => {
    const { keepDays } = (await rules.load(sql, organizationId))(organizationId, jobTemplateId);
    const key = partitionFor(await partitions.today(sql), keepDays);
    await partitions.hold(sql, key);
    return key;
  };

/** Makes the partitions of jobs opened today and tomorrow: an opening that makes its own has to wait for a lock now and then. */
export const preparePartitions = async (
  pool: Sql,
  partitions: Partitions,
  rules: Pick<RetentionRules, 'distinctDays'>,
): Promise<void> => {
  const today = await partitions.today();
  for (const days of await rules.distinctDays())
    for (const day of [today, addDays(today, 1)]) await partitions.hold(pool, partitionFor(day, days));
};
