/** Reading a record. Never the whole job to answer for a part. */
import { authorize, type Principal } from '@gantry/contracts/access';
import type { CommandSpec, OutputOf, ReceivedBy } from '@gantry/contracts/command';
import type {
  GetMoment,
  ListHostSummaries,
  ListJobEvents,
  ListTaskSummaries,
  ReadStdout,
  SearchOutput,
} from '@gantry/contracts/record';
import type pg from 'pg';
import type { Chunks } from './adapters/chunks.js';
import { noRecord, requireKept, type JobRecord, type Records } from './adapters/records.js';
import { readEvents } from './record.events.js';
import { momentAfter, readOutput } from './record.output.js';
import { searchOutput } from './record.search.js';
import { hostsAsOf, listHosts, listTasks, tasksAsOf } from './record.summaries.js';
import { createStableRead } from './stable-read.js';

/** What the queries stand on. */
export interface QueryDependencies {
  pool: pg.Pool;
  schema: string;
  records: Records;
  chunks: Chunks;
  /** How long one page looks for a text: well below the time that a caller waits for an answer. */
  searchMilliseconds: number;
}

type Query<C extends CommandSpec> = (input: ReceivedBy<C>, principal: Principal) => Promise<OutputOf<C>>;

/**
 * Queries of a record. Throw `not_found`, `forbidden` (needs `read` in the job's organization), `refused` with reason
 * `record_dropped`, `unavailable`.
 */
export interface RecordQueries {
  events: Query<typeof ListJobEvents>;
  stdout: Query<typeof ReadStdout>;
  search: Query<typeof SearchOutput>;
  hosts: Query<typeof ListHostSummaries>;
  tasks: Query<typeof ListTaskSummaries>;
  moment: Query<typeof GetMoment>;
}

/** Over a schema's tables. */
export const createRecordQueries = (deps: QueryDependencies): RecordQueries => {
  const { records, chunks } = deps;
  const stable = createStableRead(deps.pool, records);
  const allowed = async (jobId: string, principal: Principal): Promise<JobRecord> => {
    const record = await records.find(deps.pool, jobId);
    if (!record) throw noRecord(jobId);
    authorize(principal, 'read', record.organizationId, `the output of job ${jobId}`);
    return record;
  };
  // The numbers outlive the events, but not for ever; what they were earlier is read from the events' index.
  const summaries = async <T>(
    jobId: string,
    principal: Principal,
    asOf: number | null | undefined,
    now: (record: JobRecord) => Promise<T>,
    then: (record: JobRecord, asOf: number) => Promise<T>,
  ): Promise<T> => {
    const record = await allowed(jobId, principal);
    if (typeof asOf === 'number' && asOf < record.lastCounter)
      return stable(record, (kept) => then(kept, asOf));
    if (record.pruned) requireKept(record);
    return now(record);
  };
  const linesOf = async (record: JobRecord, asOf: number | null | undefined): Promise<number> =>
    typeof asOf === 'number' && asOf < record.lastCounter
      ? (await momentAfter(chunks, record, asOf)).line
      : record.lastLine;
  return {
    events: async ({ jobId, after, limit, filter }, principal) => {
      const record = await allowed(jobId, principal);
      const { events, lastCounter } = await stable(record, (kept) =>
        readEvents(deps, kept, after, limit, filter ?? {}),
      );
      const { seal } = record;
      const final =
        seal && lastCounter >= record.lastCounter
          ? { count: seal.lastCounter, sha256: seal.sha256, status: seal.status }
          : null;
      return { events, lastCounter, committedCounter: record.lastCounter, final };
    },
    stdout: async ({ jobId, startLine, endLine, format, asOf }, principal) =>
      stable(await allowed(jobId, principal), async (record) => {
        const totalLines = await linesOf(record, asOf);
        const end = Math.min(endLine ?? totalLines, totalLines);
        const { text, line } = await readOutput(chunks, record, startLine, end, format);
        return { text, startLine, endLine: Math.max(line, startLine), totalLines };
      }),
    search: async ({ jobId, asOf, ...asked }, principal) =>
      stable(await allowed(jobId, principal), async (record) =>
        searchOutput(chunks, record, await linesOf(record, asOf), asked, deps.searchMilliseconds),
      ),
    hosts: ({ jobId, first, after, asOf, failedOnly }, principal) =>
      summaries(
        jobId,
        principal,
        failedOnly ? null : asOf,
        (record) => listHosts(deps, record, first, after ?? '', failedOnly ?? false),
        (record, counter) => hostsAsOf(deps, record, counter, first, after ?? ''),
      ),
    tasks: ({ jobId, first, after, asOf }, principal) =>
      summaries(
        jobId,
        principal,
        asOf,
        (record) => listTasks(deps, record, first, after),
        (record, counter) => tasksAsOf(deps, record, counter, first, after),
      ),
    moment: async ({ jobId, asOf }, principal) =>
      stable(await allowed(jobId, principal), (record) =>
        momentAfter(chunks, record, Math.min(asOf, record.lastCounter)),
      ),
  };
};
