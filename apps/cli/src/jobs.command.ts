/** launch, jobs, job, cancel, and following a job to its end. */
import { randomUUID } from 'node:crypto';
import { PlatformError } from '@gantry/contracts/errors';
import { parse as parseYaml } from 'yaml';
import { findEndpoint, follow, outputOf, request, type Endpoint } from './client.js';
import { exitCodes, paint, print, printJson, safeOutput, status, table } from './terminal.js';

const JOB = `id name status reason { code message } launchType launchedBy createdAt startedAt finishedAt elapsedSeconds playbook limit
  extraVars cancelRequested artifacts
  pinned { image { name image digest reason } project { branch commit archiveSha256 } inventory { sha256 totalHosts }
    credentials { name credentialType version } }
  agent { version mode python ansibleCore ansibleRunner } record { lastCounter lastLine sha256 exitCode }
  hostSummaries(first: 1000) { nodes { host ok changed failures dark skipped rescued ignored } }`;

/** A job as the command line shows it. */
export interface JobView {
  id: string;
  name: string;
  status: string;
  reason: { code: string; message: string } | null;
  launchedBy: string;
  createdAt: string;
  startedAt: string | null;
  elapsedSeconds: number | null;
  pinned: {
    image: { name: string; image: string; digest: string | null; reason: string };
    project: { branch: string; commit: string };
  } | null;
  agent: { version: string; ansibleCore: string | null } | null;
  record: { lastCounter: number; lastLine: number; sha256: string } | null;
  hostSummaries: { nodes: Record<string, string | number>[] };
}

/** Options of `gantry launch`. */
export interface LaunchOptions {
  extraVars?: string[];
  limit?: string;
  follow?: boolean;
  json?: boolean;
}

/** `-e NAME=VALUE`, `-e '{"json": 1}'`, `-e 'yaml: 1'`, as ansible-playbook takes them; later ones win. Throws `invalid` naming the bad one. */
export const parseExtraVars = (given: string[]): Record<string, unknown> => {
  const result: Record<string, unknown> = {};
  for (const text of given) {
    const pair = /^([A-Za-z_]\w*)=([\s\S]*)$/.exec(text);
    if (pair) {
      result[pair[1]!] = pair[2]!;
      continue;
    }
    let value: unknown;
    try {
      value = parseYaml(text, { maxAliasCount: 20 });
    } catch (error) {
      throw new PlatformError(
        'invalid',
        `-e ${text}: neither NAME=VALUE nor YAML: ${(error as Error).message.split('\n')[0]}`,
      );
    }
    if (value === null || typeof value !== 'object' || Array.isArray(value))
      throw new PlatformError('invalid', `-e ${text}: give NAME=VALUE or a YAML mapping.`);
    Object.assign(result, value);
  }
  return result;
};

/** Launches and answers the job's id. Throws what the API refuses with. */
export const launch = async (
  endpoint: Endpoint,
  jobTemplate: string,
  options: LaunchOptions,
): Promise<string> => {
  const input = {
    jobTemplate,
    idempotencyKey: randomUUID(),
    ...(options.extraVars?.length ? { extraVars: parseExtraVars(options.extraVars) } : {}),
    ...(options.limit ? { limit: options.limit } : {}),
  };
  const { launchJob } = await request<{
    launchJob: { job?: { id: string }; code?: string; message?: string };
  }>(
    endpoint,
    'mutation ($input: LaunchJobInput!) { launchJob(input: $input) { ... on LaunchedJob { job { id } } ... on LaunchRefused { code message } } }',
    { input },
  );
  if (!launchJob.job) throw new PlatformError('refused', launchJob.message!);
  return launchJob.job.id;
};

/** `gantry launch`. */
export const launchCommand = async (jobTemplate: string, options: LaunchOptions): Promise<number> => {
  const endpoint = findEndpoint();
  const id = await launch(endpoint, jobTemplate, options);
  if (!options.follow) {
    if (options.json) printJson({ id });
    else print(`${id}\nFollow it: ./gantry job ${id} --follow`);
    return exitCodes.ok;
  }
  return followToEnd(endpoint, id, options.json);
};

/** Prints a job's output as it comes and, at its end, how it went; the exit code says the same. */
export const followToEnd = async (endpoint: Endpoint, id: string, json = false): Promise<number> => {
  const stopFollowing = () => {
    process.stderr.write(
      `\nNot followed any more; the job goes on. See it: ./gantry job ${id} --follow   End it: ./gantry cancel ${id}\n`,
    );
    process.exit(exitCodes.interrupted);
  };
  process.once('SIGINT', stopFollowing);
  for await (const { text } of follow(endpoint, id))
    await write(json ? process.stderr : process.stdout, safeOutput(text));
  const job = await untilOver(endpoint, id);
  process.off('SIGINT', stopFollowing);
  if (json) printJson(job);
  else print(`\n${ending(job)}`);
  return job.status === 'SUCCESSFUL'
    ? exitCodes.ok
    : job.status === 'CANCELED'
      ? exitCodes.canceled
      : exitCodes.failed;
};

/** The record ends a moment before the job: its pod is destroyed in between. */
const untilOver = async (endpoint: Endpoint, id: string): Promise<JobView> => {
  for (;;) {
    const job = await getJob(endpoint, id);
    if (['SUCCESSFUL', 'FAILED', 'ERROR', 'CANCELED'].includes(job.status)) return job;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
};

const ending = (job: JobView): string => {
  const record = job.record
    ? ` ${paint.dim(`${job.record.lastCounter} events, ${job.record.lastLine} lines, sha256 ${job.record.sha256.slice(0, 12)}`)}`
    : '';
  return `Job ${job.id} ${status(job.status)}${job.reason ? `: ${job.reason.message}` : ''}${record}`;
};

/** One job. Throws `not_found`. */
export const getJob = async (endpoint: Endpoint, id: string): Promise<JobView> => {
  if (!/^[0-9a-f-]{36}$/i.test(id))
    throw new PlatformError('invalid', `${id} is not the id of a job: ./gantry jobs lists them.`);
  const { job } = await request<{ job: JobView | null }>(
    endpoint,
    `query ($id: ID!) { job(id: $id) { ${JOB} } }`,
    { id },
  );
  if (!job)
    throw new PlatformError(
      'not_found',
      `There is no job ${id}, or you may not see it: ./gantry jobs lists those you may.`,
    );
  return job;
};

/** `gantry jobs`. */
export const jobsCommand = async (options: { json?: boolean; first: number }): Promise<number> => {
  const query =
    'query ($first: Int) { jobs(first: $first) { totalCount nodes { id name status createdAt elapsedSeconds launchedBy reason { message } } } }';
  const { jobs } = await request<{ jobs: { totalCount: number; nodes: JobView[] } }>(findEndpoint(), query, {
    first: options.first,
  });
  if (options.json) return (printJson(jobs.nodes), exitCodes.ok);
  if (jobs.nodes.length === 0)
    return (print('No job yet. Launch one: ./gantry launch "Demo Job Template" --follow'), exitCodes.ok);
  const rows = jobs.nodes.map((job) => [
    job.id,
    job.name,
    status(job.status),
    job.createdAt.replace('T', ' ').slice(0, 19),
    job.elapsedSeconds === null ? '' : `${job.elapsedSeconds.toFixed(1)} s`,
    job.launchedBy,
  ]);
  print(table(['id', 'job template', 'status', 'launched', 'took', 'by'], rows));
  if (jobs.totalCount > jobs.nodes.length)
    print(paint.dim(`${jobs.nodes.length} of ${jobs.totalCount}; --first 200 shows more.`));
  return exitCodes.ok;
};

/** Options of `gantry job`. */
export interface JobOptions {
  stdout?: boolean;
  events?: boolean;
  timeline?: boolean;
  follow?: boolean;
  json?: boolean;
}

/** `gantry job <id>`. */
export const jobCommand = async (id: string, options: JobOptions): Promise<number> => {
  const endpoint = findEndpoint();
  const job = await getJob(endpoint, id);
  if (options.follow) return followToEnd(endpoint, id, options.json);
  if (options.stdout) return printStdout(endpoint, id, options.json);
  if (options.events) return printEvents(endpoint, id, options.json);
  if (options.timeline) return printTimeline(endpoint, id, options.json);
  if (options.json) return (printJson(job), exitCodes.ok);
  print(describe(job));
  return exitCodes.ok;
};

const describe = (job: JobView): string => {
  const lines: [string, string][] = [
    ['Job', job.id],
    ['Template', job.name],
    ['Status', `${status(job.status)}${job.reason ? `: ${job.reason.message}` : ''}`],
    ['Launched', `${job.createdAt} by ${job.launchedBy}`],
    ['Took', job.elapsedSeconds === null ? '' : `${job.elapsedSeconds.toFixed(1)} s`],
    ['Image', job.pinned ? `${job.pinned.image.image} ${job.pinned.image.digest ?? ''}` : ''],
    ['Why', job.pinned?.image.reason ?? ''],
    ['Project', job.pinned ? `${job.pinned.project.branch} at ${job.pinned.project.commit}` : ''],
    ['Ansible', job.agent ? `ansible-core ${job.agent.ansibleCore ?? 'unknown'}` : ''],
    [
      'Record',
      job.record
        ? `${job.record.lastCounter} events, ${job.record.lastLine} lines, sha256 ${job.record.sha256}`
        : '',
    ],
  ];
  const text = lines
    .filter(([, value]) => value)
    .map(([name, value]) => `${paint.bold(name.padEnd(10))}${value}`);
  const hosts = job.hostSummaries.nodes;
  if (hosts.length === 0) return text.join('\n');
  const columns = ['host', 'ok', 'changed', 'failures', 'dark', 'skipped', 'rescued', 'ignored'];
  return [
    ...text,
    '',
    table(
      columns,
      hosts.map((host) => columns.map((column) => String(host[column]))),
    ),
  ].join('\n');
};

const printStdout = async (endpoint: Endpoint, id: string, json = false): Promise<number> => {
  const parts: string[] = [];
  for await (const text of outputOf(endpoint, id)) {
    if (json) parts.push(text);
    else await write(process.stdout, safeOutput(text));
  }
  if (json) printJson({ stdout: parts.join('') });
  return exitCodes.ok;
};

/** Waits for whoever reads: a pager that stands still must not fill the memory. */
const write = (stream: NodeJS.WriteStream, text: string): Promise<void> =>
  new Promise((resolve) => (text === '' ? resolve() : stream.write(text, () => resolve())));

interface EventView {
  counter: number;
  event: string;
  host: string | null;
  task: string | null;
  failed: boolean;
  changed: boolean;
}

const EVENTS = `query ($id: ID!, $after: Int) { job(id: $id) { events(first: 500, after: $after) { hasNextPage lastCounter nodes {
  counter uuid parentUuid event stdout startLine endLine created host task play role failed changed eventData } } } }`;

const printEvents = async (endpoint: Endpoint, id: string, json = false): Promise<number> => {
  const all: EventView[] = [];
  for (let after = 0; ;) {
    const { job } = await request<{
      job: { events: { nodes: EventView[]; hasNextPage: boolean; lastCounter: number } };
    }>(endpoint, EVENTS, { id, after });
    if (json) all.push(...job.events.nodes);
    else
      for (const event of job.events.nodes)
        print(
          `${String(event.counter).padStart(6)}  ${event.event.padEnd(28)} ${[event.host, event.task].filter(Boolean).join('  ')}${event.failed ? paint.red(' failed') : ''}${event.changed ? paint.yellow(' changed') : ''}`,
        );
    if (!job.events.hasNextPage || job.events.lastCounter <= after) break;
    after = job.events.lastCounter;
  }
  if (json) printJson(all);
  return exitCodes.ok;
};

const printTimeline = async (endpoint: Endpoint, id: string, json = false): Promise<number> => {
  const { job } = await request<{
    job: { timeline: { version: number; type: string; at: string; actor: string; summary: string }[] };
  }>(endpoint, 'query ($id: ID!) { job(id: $id) { timeline { version type at actor summary data } } }', {
    id,
  });
  if (json) printJson(job.timeline);
  else
    print(
      table(
        ['', 'when', 'what', ''],
        job.timeline.map((entry) => [
          String(entry.version),
          entry.at.slice(11, 23),
          entry.type,
          entry.summary,
        ]),
      ),
    );
  return exitCodes.ok;
};

/** `gantry cancel <id>`. */
export const cancelCommand = async (
  id: string,
  options: { force?: boolean; json?: boolean },
): Promise<number> => {
  const query = `mutation ($id: ID!, $force: Boolean) { cancelJob(id: $id, force: $force) {
    ... on CanceledJob { job { id status } } ... on CancelRefused { code message } } }`;
  const { cancelJob } = await request<{
    cancelJob: { job?: { id: string; status: string }; message?: string };
  }>(findEndpoint(), query, { id, force: Boolean(options.force) });
  if (!cancelJob.job) throw new PlatformError('refused', cancelJob.message!);
  if (options.json) printJson(cancelJob.job);
  else print(`Job ${id} has been asked to end (${status(cancelJob.job.status)}).`);
  return exitCodes.ok;
};
