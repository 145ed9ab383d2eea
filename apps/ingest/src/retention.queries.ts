/** What retention tells: of one job, and of the whole store. */
import { can, type Principal } from '@gantry/contracts/access';
import type { OutputOf, ReceivedBy } from '@gantry/contracts/command';
import { PlatformError } from '@gantry/contracts/errors';
import type { DescribeRecords, DescribeStorage, RecordRetention } from '@gantry/contracts/retention';
import { fromPostgres, identifier, type Sql } from '@gantry/eventlog/sql';
import type { PartitionSize, Partitions } from './adapters/partitions.js';
import { shownArchive, type JobRecord, type Records } from './adapters/records.js';
import { mayGoOn, planPartition, type Keeping } from './domain/retention.js';
import type { RetentionRules } from './retention.rules.js';

/** More partitions and organizations than these are counted, not listed. */
const MOST_PARTITIONS = 1_000;
const MOST_ORGANIZATIONS = 100;

/** What the queries stand on. */
export interface RetentionQueryDependencies {
  pool: Sql;
  schema: string;
  records: Records;
  partitions: Partitions;
  rules: Pick<RetentionRules, 'load'>;
  defaultKeepDays: number;
  /** Where jobs are archived, null for nowhere. */
  archive: string | null;
}

/** Queries of retention. Throw `forbidden`, `unavailable`. */
export interface RetentionQueries {
  /** Of those that the principal may read. */
  records(
    input: ReceivedBy<typeof DescribeRecords>,
    principal: Principal,
  ): Promise<OutputOf<typeof DescribeRecords>>;
  storage(principal: Principal): Promise<OutputOf<typeof DescribeStorage>>;
}

/** Over a schema's tables. */
export const createRetentionQueries = (deps: RetentionQueryDependencies): RetentionQueries => ({
  records: async ({ jobIds }, principal) => {
    const rules = await deps.rules.load();
    const records = await deps.records.findAll(deps.pool, jobIds);
    return {
      items: records
        .filter(({ organizationId }) => can(principal, 'read', organizationId))
        .map((record) => shownRecord(record, rules(record.organizationId, record.jobTemplateId))),
    };
  },
  storage: async (principal) => {
    if (!principal.superuser && !principal.auditor)
      throw new PlatformError(
        'forbidden',
        `${principal.username} may not see what the records of all organizations take: that is for superusers and auditors.`,
        { details: { action: 'read', what: 'storage' } },
      );
    const [all, rules, today] = await Promise.all([
      deps.partitions.list(),
      deps.rules.load(),
      deps.partitions.today(),
    ]);
    const partitions = all.map((partition) =>
      shownPartition(partition, planPartition(partition, rules, today)),
    );
    const coming = partitions.flatMap(({ action, due, jobs }) =>
      jobs > 0 && action !== 'empty' && due !== null ? [due] : [],
    );
    return {
      totalBytes: sum(all.map(({ bytes }) => bytes)),
      storedBytes: sum(partitions.map(({ storedBytes }) => storedBytes)),
      organizations: await organizationsOf(deps),
      partitions: partitions.slice(0, MOST_PARTITIONS),
      oldestDay: least(all.flatMap(({ groups }) => groups.map(({ endedOn }) => endedOn))),
      nextDrop: least(coming),
      archive: deps.archive,
      defaultKeepDays: deps.defaultKeepDays,
    };
  },
});

const shownRecord = (record: JobRecord, keeping: Keeping): RecordRetention => ({
  jobId: record.jobId,
  rawBytes: record.rawBytes,
  storedBytes: record.storedBytes,
  ...keeping,
  keptUntil:
    record.endedOn === null || record.droppedAt !== null ? null : mayGoOn(record.endedOn, keeping.keepDays),
  archive: shownArchive(record.archive),
  droppedAt: record.droppedAt,
  droppedBy: record.droppedBy,
});

const shownPartition = (
  { key, bytes, openJobs, groups }: PartitionSize,
  plan: ReturnType<typeof planPartition>,
): OutputOf<typeof DescribeStorage>['partitions'][number] => ({
  partition: key,
  bytes,
  openJobs,
  jobs: sum(groups.map(({ jobs }) => jobs)),
  storedBytes: sum(groups.map(({ storedBytes }) => storedBytes)),
  lastEnded:
    groups.length === 0
      ? null
      : groups
          .map(({ endedOn }) => endedOn)
          .sort()
          .at(-1)!,
  ...plan,
});

const organizationsOf = async ({
  pool,
  schema,
}: RetentionQueryDependencies): Promise<OutputOf<typeof DescribeStorage>['organizations']> => {
  try {
    const { rows } = await pool.query<OutputOf<typeof DescribeStorage>['organizations'][number]>(
      `select organization_id as "organizationId", sum(jobs)::float8 as jobs, sum(raw_bytes)::float8 as "rawBytes", sum(stored_bytes)::float8 as "storedBytes"
       from ${identifier(schema)}.record_usage group by 1 having sum(jobs) > 0 order by sum(stored_bytes) desc limit $1`,
      [MOST_ORGANIZATIONS],
    );
    return rows;
  } catch (error) {
    throw fromPostgres(error);
  }
};

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);
const least = (days: readonly string[]): string | null => [...days].sort()[0] ?? null;
