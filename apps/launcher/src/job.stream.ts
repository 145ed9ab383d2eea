/** A job's stream and the row that says it is unfinished, kept in step: whoever appends to a job does it here. */
import {
  makeEvent,
  parseEvent,
  type Meta,
  type NewEvent,
  type StoredEvent,
} from '@gantry/contracts/envelope';
import { PlatformError, isPlatformError } from '@gantry/contracts/errors';
import { JobDispatched, jobEvents, type Reason } from '@gantry/contracts/job';
import type { EventLog } from '@gantry/eventlog/log';
import { identifier, type Sql } from '@gantry/eventlog/sql';
import { decideAndAppend } from '@gantry/service/aggregate';
import { newId } from '@gantry/service/context';
import { decideJob, evolveJob, noJob, type JobCommand, type JobEvent, type JobState } from './domain/job.js';

/** A job as its stream tells it now. */
export interface LoadedJob {
  id: string;
  state: JobState;
  version: number;
  /** Of the request that launched it; everything that follows carries it. */
  correlationId: string;
  /** Id of the last event. */
  causationId: string;
  /** ISO 8601: when the agent spoke; null before. */
  runningSince: string | null;
}

/** The launcher's jobs. */
export interface Jobs {
  /** null: no such job. */
  load(jobId: string): Promise<LoadedJob | null>;
  /**
   * Says these things to a job, in order, all or none. Returns the state after them and whether anything was appended.
   * Throws what `decideJob` throws; `refused` with details {reason: 'must_wait', waitsFor} when it has no place yet.
   */
  tell(
    jobId: string,
    commands: readonly JobCommand[],
    meta: Meta,
  ): Promise<{ state: JobState; appended: StoredEvent[] }>;
  /** Appends a new job within the caller's transaction; an exact relaunch is pinned in the same breath, and needs no assertion. */
  requestIn(
    sql: Sql,
    command: Extract<JobCommand, { kind: 'request' }>,
    pin: Extract<JobCommand, { kind: 'pin' }> | null,
    sealedAssertion: Uint8Array | null,
    meta: Meta,
  ): Promise<void>;
  /** Every job without an end, oldest first. `cancel`: 0 no, 1 asked, 2 at once; `waits`: for a place. */
  unfinished(): Promise<{ jobId: string; cancel: number; waits: boolean }[]>;
  /** The launching person's assertion as `requestIn` got it; null once pinned. */
  sealedAssertion(jobId: string): Promise<Buffer | null>;
}

const specs = new Map(Object.values(jobEvents).map((spec) => [spec.type as string, spec]));
const streamOf = (jobId: string): string => `job-${jobId}`;
const newEvent = ({ type, data }: JobEvent, id: string): NewEvent =>
  makeEvent(specs.get(type)!, id, data as never);

/** Jobs over the launcher's log. */
export const createJobs = (log: EventLog, pool: Sql, settings: { maxConcurrentJobs: number }): Jobs => {
  const table = `${identifier(log.schema)}.unfinished_job`;
  return {
    load: async (jobId) => {
      const stored = await log.readStream(streamOf(jobId));
      const [first, last] = [stored[0], stored.at(-1)];
      if (!first || !last) return null;
      return {
        id: jobId,
        state: fold(stored),
        version: last.streamVersion,
        correlationId: first.meta.correlationId,
        causationId: last.id,
        runningSince: stored.find((event) => event.type === 'job.pod_started')?.at ?? null,
      };
    },
    tell: async (jobId, commands, meta) => {
      // The same ids when decided anew: a repeated append is recognised by them.
      const ids: string[] = [];
      const outcome = await decideAndAppend({
        log,
        stream: streamOf(jobId),
        initial: noJob,
        evolve: evolveJob,
        catalogue: jobEvents,
        meta,
        decide: (state) =>
          decideAll(state, commands).map((event, index) => newEvent(event, (ids[index] ??= newId()))),
        inTransaction: async (sql, stored) => {
          for (const event of stored) await follow(sql, table, jobId, event, settings.maxConcurrentJobs);
        },
      });
      return { state: outcome.state, appended: outcome.events };
    },
    requestIn: async (sql, command, pin, sealedAssertion, meta) => {
      const { jobId, snapshot } = command.data;
      const events = decideAll(noJob, pin ? [command, pin] : [command]).map((event) =>
        newEvent(event, newId()),
      );
      await log.appendIn(sql, streamOf(jobId), 0, events, meta);
      await sql.query(`insert into ${table} (job_id, job_template_id, simultaneous, sealed_assertion) values ($1, $2, $3, $4)`, [
        jobId, snapshot.jobTemplateId, snapshot.allowSimultaneous, sealedAssertion,
      ]); // prettier-ignore
    },
    unfinished: async () => {
      const { rows } = await pool.query<{ jobId: string; cancel: number; waits: boolean }>(
        `select job_id::text as "jobId", cancel, waits_for is not null as waits from ${table} order by job_id`,
      );
      return rows;
    },
    sealedAssertion: async (jobId) => {
      const { rows } = await pool.query<{ sealed: Buffer | null }>(
        `select sealed_assertion as sealed from ${table} where job_id = $1`,
        [jobId],
      );
      return rows[0]?.sealed ?? null;
    },
  };
};

const fold = (stored: readonly StoredEvent[]): JobState =>
  stored.reduce((state, raw) => {
    const event = parseEvent(jobEvents, raw);
    return event ? evolveJob(state, event) : state;
  }, noJob);

const decideAll = (state: JobState, commands: readonly JobCommand[]): JobEvent[] => {
  const events: JobEvent[] = [];
  for (const command of commands) {
    const decided = decideJob(state, command);
    state = decided.reduce(evolveJob, state);
    events.push(...decided);
  }
  return events;
};

/** What the row says after an event; throws when the job may not have a place yet. */
const follow = async (
  sql: Sql,
  table: string,
  jobId: string,
  stored: StoredEvent,
  maxConcurrentJobs: number,
): Promise<void> => {
  const event = parseEvent(jobEvents, stored);
  switch (event?.type) {
    case 'job.pinned':
      await sql.query(`update ${table} set sealed_assertion = null where job_id = $1`, [jobId]);
      return;
    case 'job.queued': {
      const { code } = event.data.reason;
      await sql.query(`update ${table} set waits_for = $2 where job_id = $1`, [
        jobId,
        code === 'capacity' || code === 'template' ? code : null,
      ]);
      return;
    }
    case JobDispatched.type:
      return admit(sql, table, jobId, maxConcurrentJobs);
    case 'job.cancel_requested':
      await sql.query(`update ${table} set cancel = $2 where job_id = $1`, [jobId, event.data.force ? 2 : 1]);
      return;
    case 'job.finished':
      await sql.query(`delete from ${table} where job_id = $1`, [jobId]);
  }
};

interface Queue {
  running: number;
  /** Older ones that wait for a place. */
  ahead: number;
  /** Of the same template: one that runs, or an older one that waits for it. */
  sameTemplate: string | null;
  simultaneous: boolean;
}

/** One launcher at a time looks at who has a place, and takes one. */
const admit = async (sql: Sql, table: string, jobId: string, maxConcurrentJobs: number): Promise<void> => {
  await sql.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`gantry admission ${table}`]);
  const { rows } = await sql.query<Queue>(
    `select (select count(*)::int from ${table} where dispatched) as running,
            (select count(*)::int from ${table} where not dispatched and waits_for = 'capacity' and job_id < $1) as ahead,
            (select other.job_id::text from ${table} other
              where other.job_template_id = own.job_template_id and other.job_id <> own.job_id
                and (other.dispatched or (other.waits_for = 'template' and other.job_id < own.job_id))
              order by other.dispatched desc, other.job_id limit 1) as "sameTemplate",
            own.simultaneous
     from ${table} own where own.job_id = $1`,
    [jobId],
  );
  const queue = rows[0];
  if (!queue) throw new PlatformError('defect', `The job ${jobId} is not among the unfinished ones.`);
  const waitsFor = reasonToWait(queue, maxConcurrentJobs);
  if (waitsFor)
    throw new PlatformError('refused', waitsFor.message, { details: { reason: 'must_wait', waitsFor } });
  await sql.query(`update ${table} set dispatched = true, waits_for = null where job_id = $1`, [jobId]);
};

const reasonToWait = (
  { running, ahead, sameTemplate, simultaneous }: Queue,
  places: number,
): Reason | null => {
  if (!simultaneous && sameTemplate) {
    return {
      code: 'template',
      message: `Waits for job ${sameTemplate} of the same job template, which does not allow simultaneous jobs.`,
    };
  }
  if (running + ahead >= places) {
    const before = ahead > 0 ? `, and ${ahead} ${ahead === 1 ? 'job is' : 'jobs are'} ahead of it` : '';
    return { code: 'capacity', message: `Waits for a place: ${running} of ${places} are taken${before}.` };
  }
  return null;
};

/** What a job that has no place yet waits for; null for any other error. */
export const waitsForOf = (error: unknown): Reason | null =>
  isPlatformError(error) && error.details['reason'] === 'must_wait'
    ? (error.details['waitsFor'] as Reason)
    : null;
