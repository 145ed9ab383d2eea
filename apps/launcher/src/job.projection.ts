/** The read model of jobs: a row each, with the job as queries give it. */
import { readable, type Principal } from '@gantry/contracts/access';
import type { PageOf, PageRequest } from '@gantry/contracts/command';
import { parseEvent, type EventOf, type StoredEvent } from '@gantry/contracts/envelope';
import {
  jobEvents,
  type Job,
  type JobRequested,
  type JobStatus,
  type TimelineEntry,
} from '@gantry/contracts/job';
import type { EventLog } from '@gantry/eventlog/log';
import type { Sql } from '@gantry/eventlog/sql';
import { decodeCursor, encodeCursor } from '@gantry/service/page';
import { Brackets, EntitySchema, type DataSource } from 'typeorm';
import type { JobEvent } from './domain/job.js';

/** A row of the table `job`. */
export interface JobRow {
  id: string;
  organization_id: string;
  job_template_id: string;
  launched_by_id: string;
  status: JobStatus;
  version: number;
  view: Job;
  parent_job_id: string | null;
}

/** The table `job`, for queries. */
export const JobEntity = new EntitySchema<JobRow>({
  name: 'job',
  columns: {
    id: { type: 'uuid', primary: true },
    organization_id: { type: 'uuid' },
    job_template_id: { type: 'uuid' },
    launched_by_id: { type: 'text' },
    status: { type: 'text' },
    version: { type: 'integer' },
    view: { type: 'jsonb' },
    parent_job_id: { type: 'uuid', nullable: true },
  },
});

/** The projection `job`. */
export const jobProjection = {
  name: 'job',
  tables: ['job'],
  apply: async (stored: StoredEvent, sql: Sql): Promise<void> => {
    const event = parseEvent(jobEvents, stored);
    if (!event) return;
    if (event.type === 'job.requested') {
      const view = newView(event.data, stored);
      await sql.query(
        `insert into launcher.job (id, organization_id, job_template_id, launched_by_id, status, version, view, parent_job_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (id) do nothing`,
        [
          view.id,
          view.organizationId,
          view.jobTemplateId,
          view.launchedBy.userId,
          view.status,
          view.version,
          JSON.stringify(view),
          view.parentJobId ?? null,
        ],
      );
      return;
    }
    const { rows } = await sql.query<{ view: Job }>('select view from launcher.job where id = $1', [
      event.data.jobId,
    ]);
    const before = rows[0]?.view;
    if (!before || before.version >= stored.streamVersion) return;
    const view = { ...viewAfter(before, event, stored.at), version: stored.streamVersion };
    await sql.query('update launcher.job set status = $2, version = $3, view = $4 where id = $1', [
      view.id,
      view.status,
      view.version,
      JSON.stringify(view),
    ]);
  },
};

const newView = (data: EventOf<typeof JobRequested>['data'], { at, streamVersion }: StoredEvent): Job => ({
  id: data.jobId,
  version: streamVersion,
  name: data.snapshot.name,
  organizationId: data.snapshot.organizationId,
  jobTemplateId: data.snapshot.jobTemplateId,
  status: 'pending',
  reason: null,
  launchType: data.launchType,
  launchedBy: data.launchedBy,
  cancelRequested: false,
  createdAt: at,
  startedAt: null,
  finishedAt: null,
  epoch: 0,
  snapshot: data.snapshot,
  parentJobId: data.parentJobId ?? null,
  relaunchOf: data.relaunchOf ?? null,
  limitHosts: data.limitHosts?.length ?? null,
  pinned: null,
  agent: null,
  record: null,
  artifacts: {},
});

/** What queries show after an event. `reason`: while it waits, what for; at the end, why it ended so. */
const viewAfter = (view: Job, { type, data }: JobEvent, at: string): Job => {
  switch (type) {
    case 'job.pinned': {
      const { image, project, inventory, credentials, collectionsLock } = data;
      return { ...view, reason: null, pinned: { image, project, inventory, credentials, collectionsLock } };
    }
    case 'job.queued':
    case 'job.pod_problem':
      return { ...view, reason: data.reason };
    case 'job.dispatched':
      return { ...view, status: 'waiting', reason: null, epoch: data.epoch };
    case 'job.image_pull_started':
      return { ...view, reason: { code: 'image_pull', message: `The image ${data.image} is being pulled.` } };
    case 'job.image_pull_progressed': {
      const { layers, layersDone } = data.progress;
      const message = `The image ${data.image} is being pulled: ${layersDone} of ${layers} layers.`;
      return { ...view, reason: { code: 'image_pull', message } };
    }
    case 'job.image_pull_retried':
      return { ...view, reason: data.reason };
    case 'job.image_pulled':
    case 'job.image_cached':
      // Only now is the digest known of an image that only the engine can name.
      return {
        ...view,
        reason: null,
        pinned: view.pinned && { ...view.pinned, image: { ...view.pinned.image, digest: data.digest } },
      };
    case 'job.pod_started':
      return { ...view, status: 'running', reason: null, startedAt: at, agent: data.agent };
    case 'job.cancel_requested':
      return { ...view, cancelRequested: true };
    case 'job.record_sealed': {
      const { lastCounter, lastLine, sha256, exitCode, artifacts } = data;
      return { ...view, record: { lastCounter, lastLine, sha256, exitCode }, artifacts };
    }
    case 'job.finished':
      return { ...view, status: data.status, reason: data.reason, finishedAt: at };
    default:
      return view;
  }
};

/** Jobs by what `ListJobs` can ask for. */
export interface JobFilter {
  ids?: string[] | null;
  status?: JobStatus[] | null;
  jobTemplateId?: string | null;
  parentJobId?: string | null;
}

/** What is asked of jobs. */
export interface JobQueries {
  /** null: there is none. */
  get(jobId: string): Promise<Job | null>;
  /** Those that `principal` may see, newest first. Throws `invalid` for a cursor that was not given out. */
  list(principal: Principal, filter: JobFilter, request: PageRequest): Promise<PageOf<Job>>;
  /** The events of a job after a version; straight from the log. */
  timeline(jobId: string, afterVersion: number): Promise<TimelineEntry[]>;
}

/** Queries over the read model. */
export const createJobQueries = (source: DataSource, log: EventLog): JobQueries => ({
  get: async (jobId) => (await source.getRepository(JobEntity).findOneBy({ id: jobId }))?.view ?? null,
  list: async (principal, filter, request) => {
    const visible = source.getRepository(JobEntity).createQueryBuilder('job');
    const organizations = readable(principal);
    if (organizations !== 'all') {
      visible.andWhere(
        new Brackets((either) =>
          either
            .where('job.organization_id = any(:organizations)', { organizations })
            .orWhere('job.launched_by_id = :userId', { userId: principal.userId }),
        ),
      );
    }
    if (filter.ids) visible.andWhere('job.id = any(:ids)', { ids: filter.ids });
    if (filter.status) visible.andWhere('job.status = any(:status)', { status: filter.status });
    if (filter.jobTemplateId)
      visible.andWhere('job.job_template_id = :jobTemplateId', { jobTemplateId: filter.jobTemplateId });
    if (filter.parentJobId)
      visible.andWhere('job.parent_job_id = :parentJobId', { parentJobId: filter.parentJobId });
    const page = visible
      .clone()
      .orderBy('job.id', 'DESC')
      .take(request.first + 1);
    if (request.after) page.andWhere('job.id < :after', { after: cursorId(request.after) });
    const [rows, totalCount] = await Promise.all([page.getMany(), visible.getCount()]);
    return {
      items: rows.slice(0, request.first).map(({ id, view }) => ({ cursor: encodeCursor([id]), node: view })),
      hasNextPage: rows.length > request.first,
      totalCount,
    };
  },
  timeline: async (jobId, afterVersion) =>
    (await log.readStream(`job-${jobId}`, afterVersion + 1)).map(
      ({ streamVersion, type, at, meta, data }) => ({
        version: streamVersion,
        type,
        at,
        actor: meta.actor,
        data: data as Record<string, unknown>,
      }),
    ),
});

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const cursorId = (cursor: string): string => {
  const [id] = decodeCursor(cursor, 1);
  // The second call throws the usual sentence.
  return uuid.test(id!) ? id! : decodeCursor('', 1)[0]!;
};
