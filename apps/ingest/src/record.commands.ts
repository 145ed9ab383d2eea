/** What the launcher asks of a record, and its milestones: opened, agent started, integrity alarm, sealed. */
import { createHash } from 'node:crypto';
import type { Meta } from '@gantry/contracts/envelope';
import { PlatformError } from '@gantry/contracts/errors';
import type { Reason } from '@gantry/contracts/job';
import {
  CloseRecord,
  OpenRecord,
  RecordAgentStarted,
  RecordIntegrityAlarm,
  RecordOpened,
  type LiveHint,
} from '@gantry/contracts/record';
import type { ReceivedBy } from '@gantry/contracts/command';
import type { EventLog } from '@gantry/eventlog/log';
import { identifier, withTransaction } from '@gantry/eventlog/sql';
import type pg from 'pg';
import type { z } from 'zod';
import { createRecordChanges, type RecordChanges, type Said } from './adapters/record-changes.js';
import { displayOf } from './domain/display.js';
import type { JobRecord, Records, Seal } from './adapters/records.js';
import type { Place } from './placement.js';

/** More than this many alarms of one job tell nothing new. */
const MOST_ALARMS = 20;

/** What the commands stand on. */
export interface RecordDependencies {
  pool: pg.Pool;
  log: EventLog;
  records: Records;
  live: { committed(hint: LiveHint): void };
  place: Place;
}

/** What an agent says at the end. */
export interface Finish {
  lastCounter: number;
  lastLine: number;
  /** Hex. */
  hash: string;
  status: NonNullable<Seal['status']>;
  exitCode: number | null;
  reason: Reason | null;
  artifacts: Record<string, unknown>;
}

/** The head of an empty record's chain: docs/PROTOCOL.md 1.3. Hex. */
export const chainStart = (jobId: string): string =>
  createHash('sha256').update(`gantry:${jobId}`).digest('hex');

/** Changes of a record, each one transaction with its event. All are idempotent. */
export interface RecordCommands {
  open(input: ReceivedBy<typeof OpenRecord>, meta: Meta): Promise<void>;
  cancel(jobId: string): Promise<void>;
  close(input: ReceivedBy<typeof CloseRecord>, meta: Meta): Promise<Seal>;
  agentStarted(
    jobId: string,
    epoch: number,
    agent: z.input<typeof RecordAgentStarted.data>['agent'],
    meta: Meta,
  ): Promise<JobRecord>;
  finish(jobId: string, epoch: number, finish: Finish, meta: Meta): Promise<void>;
  alarm(
    jobId: string,
    epoch: number,
    firstCounter: number,
    committedHash: string,
    receivedHash: string,
    meta: Meta,
  ): Promise<void>;
}

/** Over the tables of the log's schema. */
export const createRecordCommands = (deps: RecordDependencies): RecordCommands => {
  const { pool, log, records, live } = deps;
  const schema = identifier(log.schema);

  const { append, changing, seal } = createRecordChanges({ pool, log, records });
  const tellSealed = (sealed: Seal): Seal => {
    live.committed({ jobId: sealed.jobId, committedCounter: sealed.lastCounter, sealed: true });
    return sealed;
  };

  return {
    open: async (input, meta) => {
      await withTransaction(pool, (client) => openRecord(client, deps, append, input, meta));
      log.wake();
    },
    cancel: async (jobId) => {
      await changing(jobId, (sql) =>
        sql.query(`update ${schema}.job_record set cancel_requested = true where job_id = $1`, [jobId]),
      );
    },
    close: async ({ jobId, epoch, reason }, meta) =>
      tellSealed(
        await changing(jobId, async (sql, record) => {
          if (epoch < record.epoch) throw staleEpoch(record, epoch, 'refused');
          const sealed =
            record.seal ??
            (await seal(sql, record, { status: null, exitCode: null, reason, artifacts: {} }, meta));
          if (!record.closed)
            await sql.query(`update ${schema}.job_record set closed_at = now() where job_id = $1`, [jobId]);
          return sealed;
        }),
      ),
    agentStarted: (jobId, epoch, agent, meta) =>
      changing(jobId, async (sql, record) => {
        if (record.closed || record.epoch !== epoch) throw staleEpoch(record, epoch);
        if (record.agentEpoch === epoch) return record;
        await sql.query(
          `update ${schema}.job_record set agent_epoch = $2, last_heard_at = now() where job_id = $1`,
          [jobId, epoch],
        );
        await append(sql, record, RecordAgentStarted, { jobId, epoch, agent }, meta);
        return record;
      }),
    finish: async (jobId, epoch, finish, meta) =>
      void tellSealed(
        await changing(jobId, async (sql, record) => {
          if (record.closed || record.epoch !== epoch) throw staleEpoch(record, epoch);
          const { status, exitCode, reason, artifacts } = finish;
          // Through JSON: what is compared with a stored seal must have been stored once itself.
          const said = JSON.parse(JSON.stringify(displayOf({ status, exitCode, reason, artifacts }))) as Said;
          requireWhole(record, finish);
          if (!record.seal) return seal(sql, record, said, meta);
          requireSame(record.seal, said);
          return record.seal;
        }),
      ),
    alarm: async (jobId, epoch, firstCounter, committedHash, receivedHash, meta) => {
      await changing(jobId, async (sql, record) => {
        if (record.alarms >= MOST_ALARMS) return;
        await sql.query(`update ${schema}.job_record set alarms = alarms + 1 where job_id = $1`, [jobId]);
        await append(
          sql,
          record,
          RecordIntegrityAlarm,
          { jobId, epoch, firstCounter, committedHash, receivedHash },
          meta,
        );
      });
    },
  };
};

const openRecord = async (
  client: pg.PoolClient,
  { log, records, place }: RecordDependencies,
  append: RecordChanges['append'],
  input: ReceivedBy<typeof OpenRecord>,
  meta: Meta,
): Promise<void> => {
  const schema = identifier(log.schema);
  const { jobId, epoch, payload } = input;
  const bearer = Buffer.from(input.bearerSha256, 'hex');
  if (bearer.length !== 32) throw new PlatformError('invalid', 'bearerSha256 must be 64 hex digits.');
  const known = await records.lock(client, jobId);
  const isNew = !known && (await insertRecord(client, schema, place, input));
  const record = known ?? (await records.lock(client, jobId))!;
  if (!isNew) {
    if (epoch < record.epoch) throw staleEpoch(record, epoch, 'refused');
    if (record.seal || record.closed) {
      throw new PlatformError(
        'refused',
        `The record of job ${jobId} is sealed: no other attempt can be added to it.`,
        { details: { reason: 'sealed' } },
      );
    }
  }
  if (!isNew && epoch === record.epoch) {
    const { rows } = await client.query<{ sha256: Buffer }>(
      `select sha256 from ${schema}.job_bearer where job_id = $1 and epoch = $2`,
      [jobId, epoch],
    );
    if (rows[0]?.sha256.equals(bearer)) return;
    throw new PlatformError('conflict', `Attempt ${epoch} of job ${jobId} was opened with another token.`, {
      details: { reason: 'other_bearer' },
    });
  }
  if (!isNew) {
    await client.query(`update ${schema}.job_record set epoch = $2, payload = $3 where job_id = $1`, [
      jobId,
      epoch,
      JSON.stringify(payload),
    ]);
    record.epoch = epoch;
  }
  await client.query(`insert into ${schema}.job_bearer (job_id, epoch, sha256) values ($1, $2, $3)`, [
    jobId,
    epoch,
    bearer,
  ]);
  await append(client, record, RecordOpened, { jobId, epoch }, meta);
};

/** False: somebody else was faster. */
const insertRecord = async (
  client: pg.PoolClient,
  schema: string,
  place: Place,
  { jobId, epoch, organizationId, jobTemplateId = null, payload }: ReceivedBy<typeof OpenRecord>,
): Promise<boolean> => {
  const day = await place(client, organizationId, jobTemplateId);
  const { rowCount } = await client.query(
    `insert into ${schema}.job_record (job_id, day, organization_id, job_template_id, epoch, payload, chain_head)
     values ($1, $2, $3, $4, $5, $6, decode($7, 'hex')) on conflict (job_id) do nothing`,
    [jobId, day, organizationId, jobTemplateId, epoch, JSON.stringify(payload), chainStart(jobId)],
  );
  return rowCount === 1;
};

/** A caller of an attempt that is over: `forbidden` for pods, who must stop; `refused` for the launcher. */
export const staleEpoch = (
  record: Pick<JobRecord, 'jobId' | 'epoch' | 'closed'>,
  epoch: number,
  code: 'forbidden' | 'refused' = 'forbidden',
): PlatformError =>
  record.closed && epoch === record.epoch
    ? new PlatformError('forbidden', `Job ${record.jobId} is over: its pod's token ended with it.`, {
        details: { reason: 'closed' },
      })
    : new PlatformError(
        code,
        `Attempt ${epoch} of job ${record.jobId} was replaced by attempt ${record.epoch}: stop.`,
        {
          details: { reason: 'stale_epoch', epoch: record.epoch },
        },
      );

const requireWhole = (record: JobRecord, finish: Finish): void => {
  if (
    record.lastCounter === finish.lastCounter &&
    record.head === finish.hash &&
    record.lastLine === finish.lastLine
  )
    return;
  const message =
    record.lastCounter === finish.lastCounter
      ? `The record of job ${record.jobId} has ${record.lastCounter} events like the agent's, but other content or lines.`
      : `The record of job ${record.jobId} has ${record.lastCounter} events, the agent says ${finish.lastCounter}.`;
  throw new PlatformError('conflict', message, {
    details: {
      reason: 'incomplete',
      expected: record.lastCounter + 1,
      head: record.head,
      lastLine: record.lastLine,
    },
  });
};

const requireSame = (sealed: Seal, said: object): void => {
  const { status, exitCode, reason, artifacts } = sealed;
  if (canonical({ status, exitCode, reason, artifacts }) === canonical(said)) return;
  throw new PlatformError('conflict', `Job ${sealed.jobId} was finished already, in another way.`, {
    details: { reason: 'finished_otherwise' },
  });
};

const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
