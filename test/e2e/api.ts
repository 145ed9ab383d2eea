/** How the tests speak to Gantry: GraphQL over HTTP and WebSocket, the command line, and the container engine to look behind it. */
import { execFileSync, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, type Client } from 'graphql-ws';
import WebSocket from 'ws';
import { inject } from 'vitest';

/** The installation under test. */
export const world = inject('world');

/** The administrator's token. */
export const adminToken = (): string => readFileSync(world.tokenFile, 'utf8').trim();

/** An answer of the API, errors and all. */
export interface Answer<T = Record<string, never>> {
  status: number;
  data?: T;
  errors?: { message: string; extensions: { code: string } }[];
}

/** Posts a document; `token` null sends none. */
export const post = async <T>(
  query: string,
  variables: object = {},
  token: string | null = adminToken(),
): Promise<Answer<T>> => {
  const response = await fetch(world.graphql, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query, variables }),
  });
  return { status: response.status, ...((await response.json()) as object) };
};

/** Posts a document that must succeed. */
export const ask = async <T>(query: string, variables: object = {}, token?: string): Promise<T> => {
  const answer = await post<T>(query, variables, token);
  if (answer.errors) throw new Error(JSON.stringify(answer.errors));
  return answer.data!;
};

/** A job as the tests look at it. */
export interface Job {
  id: string;
  status: string;
  reason: { code: string; message: string } | null;
  artifacts: Record<string, unknown>;
  pinned: {
    image: { digest: string; image: string };
    project: { commit: string };
    inventory: { sha256: string; totalHosts: number };
  } | null;
  record: { lastCounter: number; lastLine: number; sha256: string; exitCode: number } | null;
  timeline: { version: number; type: string; at: string; data: Record<string, never> }[];
  hostSummaries: {
    nodes: {
      host: string;
      ok: number;
      changed: number;
      failures: number;
      skipped: number;
      rescued: number;
      dark: number;
    }[];
  };
}

const JOB = `id status reason { code message } artifacts
  pinned { image { image digest } project { commit } inventory { sha256 totalHosts } }
  record { lastCounter lastLine sha256 exitCode } timeline { version type at data }
  hostSummaries { nodes { host ok changed failures skipped rescued dark } }`;

/** One job, whole. */
export const getJob = async (id: string): Promise<Job> =>
  (await ask<{ job: Job }>(`query ($id: ID!) { job(id: $id) { ${JOB} } }`, { id })).job;

/** Launches by template name or id; throws what it was refused with. */
export const launch = async (jobTemplate: string, input: object = {}, token?: string): Promise<string> => {
  const { launchJob } = await ask<{ launchJob: { job?: { id: string }; message?: string } }>(
    'mutation ($input: LaunchJobInput!) { launchJob(input: $input) { ... on LaunchedJob { job { id } } ... on LaunchRefused { message } } }',
    { input: { jobTemplate, idempotencyKey: randomUUID(), ...input } },
    token,
  );
  if (!launchJob.job) throw new Error(launchJob.message);
  return launchJob.job.id;
};

/** Waits until a job is over. Asks again what is not answered soon: who was asked may have been killed. */
export const over = async (id: string): Promise<Job> => {
  for (;;) {
    const job = await Promise.race([getJob(id).catch(() => null), sleep(2_000, null)]);
    if (job && ['SUCCESSFUL', 'FAILED', 'ERROR', 'CANCELED'].includes(job.status)) return job;
    await sleep(150);
  }
};

/** An event of a job. */
export interface JobEvent {
  counter: number;
  uuid: string;
  event: string;
  stdout: string;
  host: string | null;
  task: string | null;
  startLine: number;
  endLine: number;
}

/** All events of a job, by pages. */
export const allEvents = async (id: string): Promise<JobEvent[]> => {
  const events: JobEvent[] = [];
  for (let after = 0; ;) {
    const { job } = await ask<{
      job: { events: { nodes: JobEvent[]; lastCounter: number; hasNextPage: boolean } };
    }>(
      'query ($id: ID!, $after: Int) { job(id: $id) { events(first: 200, after: $after) { hasNextPage lastCounter nodes { counter uuid event stdout host task startLine endLine } } } }',
      { id, after },
    );
    events.push(...job.events.nodes);
    if (!job.events.hasNextPage) return events;
    after = job.events.lastCounter;
  }
};

/** A batch of live output. */
export interface Batch {
  events: { counter: number; event: string; stdout: string }[];
  firstCounter: number;
  lastCounter: number;
  final: { count: number; sha256: string; status: string } | null;
}

/** A subscription client that does not reconnect by itself. */
export const subscriber = (token: string | null = adminToken()): Client =>
  createClient({
    url: world.graphqlWs,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    connectionParams: token ? { authorization: `Bearer ${token}` } : {},
  });

/** Batches of a job's output after a counter. */
export const watch = (client: Client, jobId: string, after = 0) =>
  client.iterate<{ jobOutput: Batch }>({
    query:
      'subscription ($jobId: ID!, $after: Int) { jobOutput(jobId: $jobId, after: $after) { firstCounter lastCounter events { counter event stdout } final { count sha256 status } } }',
    variables: { jobId, after },
  });

/** Runs the command line; never throws for its exit code. */
export const gantry = (...args: string[]): { code: number; stdout: string; stderr: string } => {
  const done = spawnSync(join(world.root, 'gantry'), args, {
    env: { ...process.env, GANTRY_HOME: world.home },
    encoding: 'utf8',
  });
  return { code: done.status ?? -1, stdout: done.stdout, stderr: done.stderr };
};

interface Machine {
  engine: { command: string; env: Record<string, string> };
  eeImage: string;
}

/** What the set-up found on this machine. */
export const machine = (): Machine =>
  JSON.parse(readFileSync(join(world.home, 'machine.json'), 'utf8')) as Machine;

/** Runs podman or docker, and gives what it prints. */
export const engine = (...args: string[]): string => {
  const found = machine();
  return execFileSync(found.engine.command, args, {
    env: { ...process.env, ...found.engine.env },
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  }).trim();
};

/** Names of the containers of a job that are still there, running or not. */
export const containersOf = (jobId: string): string[] =>
  engine('ps', '--all', '--filter', `label=gantry.job=${jobId}`, '--format', '{{.Names}}')
    .split('\n')
    .filter(Boolean);

interface Status {
  services: Record<string, { pid: number }>;
  parts: Record<string, { pid: number }>;
}

const status = (): Status => JSON.parse(gantry('status', '--json').stdout) as Status;

/** Process id of a service, as `gantry status` says it. */
export const pidOf = (service: string): number => status().services[service]!.pid;

/** Process id of Postgres, nats-server and so on. */
export const partPid = (part: string): number => status().parts[part]!.pid;
