/** What the job pages ask: lists, one job, its hosts, events, timeline and output. */
import { document, type Connection } from '../api/document.js';
import type { MatchesPage } from './output-search.js';

/** A job's status, as the schema has it. */
export type JobStatus =
  'PENDING' | 'WAITING' | 'RUNNING' | 'SUCCESSFUL' | 'FAILED' | 'ERROR' | 'CANCELED' | 'UNKNOWN';

/** Is the job over? */
export const isOver = (status: JobStatus): boolean =>
  !['PENDING', 'WAITING', 'RUNNING', 'UNKNOWN'].includes(status);

/** A job in a list. */
export interface JobRow {
  id: string;
  name: string;
  status: JobStatus;
  reason: { code: string; message: string } | null;
  launchType: string;
  launchedBy: string;
  cancelRequested: boolean;
  createdAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  jobTemplate: { id: string; name: string } | null;
}

const row = `id name status reason { code message } launchType launchedBy cancelRequested createdAt startedAt finishedAt
  jobTemplate { id name }`;

export const jobsQuery = document<
  { jobs: Connection<JobRow> },
  { first: number; after?: string | null; status?: JobStatus[] | null; jobTemplateId?: string | null }
>(`query Jobs($first: Int!, $after: String, $status: [JobStatus!], $jobTemplateId: ID) {
  jobs(first: $first, after: $after, status: $status, jobTemplateId: $jobTemplateId) {
    nodes { ${row} }
    pageInfo { hasNextPage endCursor }
    totalCount
  }
}`);

export const allJobStatusSubscription = document<{ jobStatus: JobRow }>(
  `subscription AllJobStatus { jobStatus { ${row} } }`,
);

/** One job with all that its page shows at the top and under Details. */
export interface JobDetail extends JobRow {
  organization: { id: string; name: string } | null;
  jobTemplateVersion: number;
  playbook: string;
  jobType: string;
  limit: string;
  /** How many hosts it is limited to by name. */
  limitHosts: number | null;
  relaunchOf: { jobId: string; mode: 'EXACT' | 'CURRENT' | 'UNKNOWN'; hosts: string } | null;
  children: { nodes: { id: string; status: JobStatus; createdAt: string }[]; totalCount: number };
  extraVars: unknown;
  artifacts: unknown;
  pinned: {
    image: {
      executionEnvironmentId: string;
      name: string;
      image: string;
      digest: string | null;
      reason: string;
      previousDigest: string | null;
    };
    project: { projectId: string; branch: string; commit: string; archiveSha256: string };
    inventory: { inventoryId: string; sha256: string; totalHosts: number };
    credentials: { id: string; name: string; credentialType: string; version: number }[];
  } | null;
  agent: {
    version: string;
    mode: string;
    python: string | null;
    ansibleCore: string | null;
    ansibleRunner: string | null;
  } | null;
  record: { lastCounter: number; lastLine: number; sha256: string; exitCode: number | null } | null;
}

const detail = `${row} organization { id name } jobTemplateVersion playbook jobType limit limitHosts extraVars artifacts
  relaunchOf { jobId mode hosts }
  children(first: 20) { nodes { id status createdAt } totalCount }
  pinned {
    image { executionEnvironmentId name image digest reason previousDigest }
    project { projectId branch commit archiveSha256 }
    inventory { inventoryId sha256 totalHosts }
    credentials { id name credentialType version }
  }
  agent { version mode python ansibleCore ansibleRunner }
  record { lastCounter lastLine sha256 exitCode }`;

export const jobQuery = document<{ job: JobDetail | null }, { id: string }>(
  `query Job($id: ID!) { job(id: $id) { ${detail} } }`,
);

export const jobStatusSubscription = document<{ jobStatus: JobDetail }, { id: string }>(
  `subscription JobStatus($id: ID!) { jobStatus(jobId: $id) { ${detail} } }`,
);

/** The numbers of one host. */
export interface HostSummary {
  host: string;
  ok: number;
  changed: number;
  failures: number;
  dark: number;
  skipped: number;
  rescued: number;
  ignored: number;
}

export const hostsQuery = document<
  { job: { hostSummaries: Connection<HostSummary> } | null },
  { id: string; first: number; after?: string | null }
>(`query JobHosts($id: ID!, $first: Int!, $after: String) {
  job(id: $id) {
    hostSummaries(first: $first, after: $after) {
      nodes { host ok changed failures dark skipped rescued ignored }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
}`);

/** The numbers and times of one task. */
export interface TaskSummary {
  uuid: string;
  task: string | null;
  play: string | null;
  role: string | null;
  startedAt: string | null;
  endedAt: string | null;
  ok: number;
  changed: number;
  failed: number;
  unreachable: number;
  skipped: number;
  ignored: number;
  longestSeconds: number;
  slowestHost: string | null;
}

export const tasksQuery = document<
  { job: { taskSummaries: Connection<TaskSummary> } | null },
  { id: string; first: number; after?: string | null }
>(`query JobTasks($id: ID!, $first: Int!, $after: String) {
  job(id: $id) {
    taskSummaries(first: $first, after: $after) {
      nodes { uuid task play role startedAt endedAt ok changed failed unreachable skipped ignored longestSeconds slowestHost }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
}`);

/** An entry of a job's life. */
export interface TimelineEntry {
  version: number;
  type: string;
  at: string;
  actor: string;
  summary: string;
  data: unknown;
}

export const timelineQuery = document<{ job: { timeline: TimelineEntry[] } | null }, { id: string }>(
  `query JobTimeline($id: ID!) { job(id: $id) { timeline { version type at actor summary data } } }`,
);

/** An event in the events table. */
export interface JobEvent {
  counter: number;
  uuid: string;
  event: string;
  created: string | null;
  host: string | null;
  task: string | null;
  play: string | null;
  role: string | null;
  failed: boolean;
  changed: boolean;
  startLine: number;
  endLine: number;
}

/** How a result went, as the schema has it. */
export type ResultStatus = 'OK' | 'CHANGED' | 'FAILED' | 'UNREACHABLE' | 'SKIPPED' | 'IGNORED';

/** Which events. */
export interface EventFilter {
  statuses?: ResultStatus[];
  hosts?: string[];
  tasks?: string[];
  plays?: string[];
  events?: string[];
  text?: string;
  failedOnly?: boolean;
  changedOnly?: boolean;
}

export const eventsQuery = document<
  {
    job: {
      events: { nodes: JobEvent[]; lastCounter: number; committedCounter: number; hasNextPage: boolean };
    } | null;
  },
  { id: string; first: number; after: number; filter?: EventFilter | null }
>(`query JobEvents($id: ID!, $first: Int!, $after: Int!, $filter: JobEventFilter) {
  job(id: $id) {
    events(first: $first, after: $after, filter: $filter) {
      nodes { counter uuid event created host task play role failed changed startLine endLine }
      lastCounter
      committedCounter
      hasNextPage
    }
  }
}`);

/** All of one event; it is the first one after `after`. */
export const eventQuery = document<
  {
    job: {
      events: { nodes: (JobEvent & { stdout: string; parentUuid: string | null; eventData: unknown })[] };
    } | null;
  },
  { id: string; after: number }
>(`query JobEvent($id: ID!, $after: Int!) {
  job(id: $id) {
    events(first: 1, after: $after) {
      nodes { counter uuid parentUuid event created host task play role failed changed startLine endLine stdout eventData }
    }
  }
}`);

/** How far a job's record is. */
export const extentQuery = document<
  { job: { stdout: { totalLines: number }; events: { committedCounter: number } } | null },
  { id: string }
>(`query JobExtent($id: ID!) {
  job(id: $id) {
    stdout(startLine: 0, endLine: 1) { totalLines }
    events(first: 1, after: 0) { committedCounter }
  }
}`);

/** A piece of the output. */
export const stdoutQuery = document<
  { job: { stdout: { text: string; startLine: number; endLine: number; totalLines: number } } | null },
  { id: string; startLine: number; endLine: number }
>(`query JobStdout($id: ID!, $startLine: Int!, $endLine: Int) {
  job(id: $id) { stdout(startLine: $startLine, endLine: $endLine) { text startLine endLine totalLines } }
}`);

/** Lines of the output that hold a text. */
export const outputMatchesQuery = document<
  { job: { outputMatches: MatchesPage } | null },
  { id: string; text: string; fromLine: number; backwards: boolean }
>(`query JobOutputMatches($id: ID!, $text: String!, $fromLine: Int!, $backwards: Boolean!) {
  job(id: $id) {
    outputMatches(text: $text, fromLine: $fromLine, backwards: $backwards) { nodes { line text } searchedLine complete }
  }
}`);

/** What the output view needs of an event. */
export interface OutputEvent {
  counter: number;
  stdout: string;
  startLine: number;
  endLine: number;
  failed: boolean;
}

/** A batch of output. */
export interface OutputBatch {
  events: OutputEvent[];
  firstCounter: number;
  lastCounter: number;
  committedCounter: number;
  final: { count: number; sha256: string; status: JobStatus | null } | null;
}

export const jobOutputSubscription = document<{ jobOutput: OutputBatch }, { id: string; after: number }>(
  `subscription JobOutput($id: ID!, $after: Int!) {
  jobOutput(jobId: $id, after: $after) {
    events { counter stdout startLine endLine failed }
    firstCounter
    lastCounter
    committedCounter
    final { count sha256 status }
  }
}`,
);

export const cancelMutation = document<
  {
    cancelJob:
      | { __typename: 'CanceledJob'; job: { id: string } }
      | { __typename: 'CancelRefused'; code: string; message: string };
  },
  { id: string; force: boolean }
>(`mutation CancelJob($id: ID!, $force: Boolean!) {
  cancelJob(id: $id, force: $force) {
    __typename
    ... on CanceledJob { job { id status } }
    ... on CancelRefused { code message }
  }
}`);
