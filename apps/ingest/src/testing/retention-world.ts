/** Ingest with retention over a database of its own, and jobs to keep: for int tests. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Job } from '@gantry/contracts/job';
import { testPrincipal } from '@gantry/service/testing';
import pg from 'pg';
import { v7 as newId } from 'uuid';
import { expect } from 'vitest';
import { createFileArchive } from '../adapters/archive-files.js';
import { NO_TEMPLATE, partitionFor } from '../domain/retention.js';
import type { Ingest } from '../ingest.js';
import { listenTcp } from '../pods.listen.js';
import type { RetentionSettings } from '../retention.js';
import { createTestPod, type TestPod } from './pod.js';
import { adminPool, finishOf, ingestOver, meta, payload, provisionIngest } from './world.js';

/** May see everything. */
export const superuser = testPrincipal({ superuser: true });

const KEEP_DAYS = 30;
const never = new AbortController().signal;
/** The launcher's word, as ingest gets it of a job that is over. */
const toldJob = (jobId: string): Job => ({
  id: jobId,
  version: 1,
  epoch: 1,
  name: 'Test',
  status: 'successful',
  reason: null,
  launchType: 'manual',
  launchedBy: { userId: superuser.userId, username: superuser.username },
  cancelRequested: false,
  createdAt: '2026-03-01T00:00:00.000Z',
  startedAt: '2026-03-01T00:00:01.000Z',
  finishedAt: '2026-03-01T00:00:02.000Z',
  organizationId: jobId,
  jobTemplateId: jobId,
  snapshot: {} as Job['snapshot'],
  pinned: null,
  agent: null,
  record: null,
  artifacts: {},
});
/** A job and the pod that speaks for it. */
export interface TestJob {
  jobId: string;
  pod: TestPod;
}

/** Everything a test of retention needs. */
export type RetentionWorld = Awaited<ReturnType<typeof startRetentionWorld>>;

/** Starts it in an empty database; files go to `home`. */
export const startRetentionWorld = async (
  database: { adminUrl: string; name: string; rolePrefix: string },
  home: string,
) => {
  const urls = await provisionIngest(database);
  const admin = adminPool(database);
  const url = urls['ingest']!;
  const pool = new pg.Pool({ connectionString: url });
  const archive = createFileArchive(join(home, 'archive'));
  const ingestWith = (settings: Partial<RetentionSettings> = {}, over: pg.Pool = pool): Ingest =>
    ingestOver(over, {
      launcher: async ({ jobId }) => ({ job: toldJob(jobId), events: [], hasMore: false }),
      retention: {
        keepDays: KEEP_DAYS,
        summaryDays: 0,
        archive,
        tries: { count: 3, pauseMilliseconds: 20 },
        ...settings,
      },
    });
  const ingest = ingestWith();
  const port = await listenTcp(ingest.podServer(), { host: '127.0.0.1', port: 0 });
  const one = async <T>(sql: string, params: unknown[] = []): Promise<T> =>
    (await admin.query<{ value: T }>(sql, params)).rows[0]!.value;
  const today = await one<string>(`select (now() at time zone 'utc')::date::text as value`);

  /** Rules as the projection would write them; each organization of a test has its own days, and so its own partition. */
  const rule = async (
    organizationId: string,
    keepDays: number,
    jobTemplateId = NO_TEMPLATE,
  ): Promise<void> => {
    await admin.query(
      `insert into ingest.retention_rule values ($1, $2, $3, now(), 'test') on conflict (organization_id, job_template_id) do update set keep_days = excluded.keep_days`,
      [organizationId, jobTemplateId, keepDays],
    );
  };

  let nextDays = 100;
  /** An organization whose jobs lie in a partition of their own. */
  const organization = async (): Promise<{ id: string; key: string; keepDays: number }> => {
    const [id, keepDays] = [newId(), (nextDays += 3)];
    await rule(id, keepDays);
    return { id, keepDays, key: partitionFor(today, keepDays) };
  };

  const open = async (organizationId: string, jobTemplateId: string | null = null): Promise<TestJob> => {
    const jobId = newId();
    const pod = createTestPod({ port }, jobId);
    await ingest.commands.open(
      { jobId, epoch: 1, organizationId, jobTemplateId, bearerSha256: pod.bearerSha256, payload },
      meta,
    );
    return { jobId, pod };
  };

  const send = async (job: TestJob, events: number, text = 'line'): Promise<void> => {
    const batch = job.pod.cut(
      Array.from({ length: events }, (_, index) => ({
        event: 'runner_on_ok',
        event_data: { host: `web${index % 3}`, task_uuid: 't1', task: 'Say' },
        stdout: `${text} ${index} ${createHash('sha256').update(`${job.jobId}${index}`).digest('hex')}`,
      })),
    );
    expect((await job.pod.send(batch)).status).toBe(200);
  };
  const end = async (job: TestJob): Promise<void> => {
    const { pod, jobId } = job;
    expect((await pod.call('finish', { ...finishOf(pod), reason: null, artifacts: {} })).status).toBe(200);
    await ingest.commands.close({ jobId, epoch: 1, reason: null }, meta);
  };
  const runJob = async (
    organizationId: string,
    events = 20,
    jobTemplateId: string | null = null,
  ): Promise<TestJob> => {
    const job = await open(organizationId, jobTemplateId);
    await send(job, events);
    await end(job);
    return job;
  };

  const read = (job: TestJob, after = 0) =>
    ingest.queries.events({ jobId: job.jobId, after, limit: 1_000 }, superuser);
  const stdout = async (job: TestJob) =>
    (await ingest.queries.stdout({ jobId: job.jobId, startLine: 0, format: 'ansi' }, superuser)).text;
  const describeJob = async (job: TestJob) =>
    (await ingest.retention.queries.records({ jobIds: [job.jobId] }, superuser)).items[0]!;

  const dayOf = (job: TestJob): Promise<string> =>
    one('select day::text as value from ingest.job_record where job_id = $1', [job.jobId]);
  const rowsIn = (job: TestJob): Promise<number> =>
    one('select count(*)::int as value from ingest.job_chunk where job_id = $1', [job.jobId]);
  /** Waits for a sweep that died to be noticed by Postgres, whose lock it had. */
  const sweepOn = async (day: string, by = ingest) => {
    for (let tries = 0; tries < 500; tries++) {
      const swept = await by.retention.sweep(meta, never, day);
      if (swept) return swept;
      await sleep(20);
    }
    throw new Error('Another sweep has been running all the time.');
  };
  const tables = (key: string): Promise<number> =>
    one(
      `select count(*)::int as value from pg_class
     where relnamespace = 'ingest'::regnamespace and relkind = 'r' and relname like '%\\_' || to_char($1::date, 'YYYYMMDD')`,
      [key],
    );
  const log = (key: string): Promise<string[]> =>
    one(
      `select coalesce(array_agg(type order by version), '{}') as value from ingest.event_log where stream = $1`,
      [`retention-${key}`],
    );
  const stop = async (): Promise<void> => {
    await ingest.stop();
    await pool.end();
    await admin.end();
  };
  return {
    admin,
    url,
    pool,
    archive,
    ingest,
    ingestWith,
    today,
    rule,
    organization,
    open,
    send,
    end,
    runJob,
    read,
    stdout,
    describeJob,
    dayOf,
    rowsIn,
    sweepOn,
    tables,
    log,
    stop,
  };
};
