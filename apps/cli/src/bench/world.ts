/**
 * The Gantry that is measured: one of its own beside the user's, in GANTRY_HOME/bench, started by ./gantry as a user would,
 * wiped before and after. A process per service, so that each one's CPU and memory can be told; or all in one.
 */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectNats, type NatsConnection } from '@gantry/bus/connect';
import type { CommandSpec, InputOf, OutputOf } from '@gantry/contracts/command';
import { PlatformError, fromWire, type ErrorOnWire } from '@gantry/contracts/errors';
import { OpenRecord } from '@gantry/contracts/record';
import { commandSubject, headers as headerNames } from '@gantry/contracts/subjects';
import { headers } from '@nats-io/transport-node';
import pg from 'pg';
import { request, type Endpoint } from '../client.js';
import { homePath, ROOT } from '../home.js';
import { embeddedPostgresUrl } from '../postgres.part.js';
import { openSecrets } from '../secrets.js';
import type { Status, SupervisorState } from '../state.js';
import type { BenchJob } from './pod.js';
import { cpuSeconds } from './processes.js';

/** `separate`: a process per service. `embedded`: all in one, as ./gantry up does it. */
export type WorldMode = 'separate' | 'embedded';

/** A running Gantry to be measured. */
export interface World {
  mode: WorldMode;
  home: string;
  endpoint: Endpoint;
  /** Where pods reach ingest. */
  pods: string;
  /** The administrator's connection to Gantry's database. */
  database: pg.Client;
  databaseUrl: string;
  /** How long `./gantry up` took. */
  startSeconds: number;
  /** Process id of a part; 0 if there is none. */
  pid(part: string): number;
  /** Further processes of Gantry, started by a case: counted as the others. */
  also: Set<number>;
  /** CPU seconds so far of every process of Gantry, Postgres and nats-server. Not: container engine, git, the load. */
  cpu(): number;
  /** The same, part by part. */
  cpuByPart(): Record<string, number>;
  /** Opens the records of so many new jobs, as the launcher does; the organization is the seeded one. */
  open(count: number): Promise<BenchJob[]>;
  openAs(jobIds: readonly string[]): Promise<BenchJob[]>;
  /** Waits until nothing is left to do (at most 15 s), with a checkpoint behind it: every measurement begins alike. */
  settle(): Promise<void>;
  stop(): Promise<void>;
}

const HOME = homePath('bench');
/** What the measured Gantry may learn from our environment: not another database, port or token. */
const passed = ['GANTRY_NO_INSTALL', 'GANTRY_CONTAINER_HOST', 'GANTRY_DEBUG'];
const notCounted = ['engine', 'git'];
const SETTLE_MILLISECONDS = 15_000;
const OPEN_AT_ONCE = 50;

const environment = (mode: WorldMode): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('GANTRY_') || passed.includes(name)),
  ),
  GANTRY_HOME: HOME,
  ...(mode === 'separate' && { GANTRY_PROCESSES: 'separate' }),
});

/** Runs a command of the measured installation. Throws `unavailable` with the end of what it said. */
export const gantry = (mode: WorldMode, ...args: string[]): string => {
  try {
    return execFileSync(join(ROOT, 'gantry'), args, {
      env: environment(mode),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    const said = String((error as { stderr?: string }).stderr ?? '').trim();
    throw new PlatformError(
      'unavailable',
      `The Gantry to be measured (${HOME}): gantry ${args.join(' ')} did not go well.\n${said.split('\n').slice(-12).join('\n')}`,
    );
  }
};

/** Stops the measured Gantry and wipes it. */
export const wipeWorld = (): void => void gantry('embedded', 'reset', '--yes');

/** Starts one; `fresh`: on empty data. */
export const startWorld = async (mode: WorldMode, fresh: boolean): Promise<World> => {
  if (fresh) wipeWorld();
  const started = performance.now();
  const output = gantry(mode, 'up', '--detach', '--json');
  const startSeconds = (performance.now() - started) / 1_000;
  const status = JSON.parse(output.slice(output.indexOf('{'))) as Status;
  const state = JSON.parse(readFileSync(join(HOME, 'run', 'state.json'), 'utf8')) as SupervisorState;
  const endpoint = { url: status.graphql!, token: readFileSync(status.tokenFile, 'utf8').trim() };
  const secrets = openSecrets(join(HOME, 'secrets'));
  const url = new URL(embeddedPostgresUrl(state.ports['postgres']!, secrets.postgresAdmin));
  url.pathname = '/gantry';
  const database = new pg.Client({ connectionString: url.href, application_name: 'gantry bench' });
  database.on('error', () => undefined);
  await database.connect();
  const nats = await connectNats({
    url: `nats://127.0.0.1:${state.ports['nats']}`,
    name: 'launcher',
    seedFile: secrets.nats.launcher.seedFile,
  });
  const also = new Set<number>();
  const pid = (part: string): number => status.parts[part]?.pid ?? status.parts['services']?.pid ?? 0;
  const roots = Object.fromEntries(
    Object.entries(status.parts)
      .filter(([name, part]) => part.pid !== null && !notCounted.includes(name))
      .map(([name, part]) => [name, part.pid!]),
  );
  const cpu = (): number => cpuSeconds([...Object.values(roots), ...also]);
  const organizationId = await defaultOrganization(endpoint);
  const openAs = (ids: readonly string[]) => openRecords(nats, organizationId, ids);
  return {
    mode,
    home: HOME,
    endpoint,
    pods: status.pods!,
    database,
    databaseUrl: url.href,
    startSeconds,
    pid,
    also,
    cpu,
    cpuByPart: () =>
      Object.fromEntries(Object.entries(roots).map(([name, root]) => [name, cpuSeconds([root])])),
    openAs,
    open: (count) => openAs(Array.from({ length: count }, () => randomUUID())),
    settle: () => settle(database, cpu),
    stop: async () => {
      await database.end().catch(() => undefined);
      await nats.close();
      gantry(mode, 'down');
    },
  };
};

const defaultOrganization = async (endpoint: Endpoint): Promise<string> => {
  const { organizations } = await request<{ organizations: { nodes: { id: string; name: string }[] } }>(
    endpoint,
    '{ organizations(first: 200) { nodes { id name } } }',
  );
  return organizations.nodes.find(({ name }) => name === 'Default')!.id;
};

/** A command in the launcher's name. */
const callAsLauncher = async <C extends CommandSpec>(
  nats: NatsConnection,
  command: C,
  input: InputOf<C>,
): Promise<OutputOf<C>> => {
  const sent = headers();
  sent.set(headerNames.correlationId, randomUUID());
  sent.set(
    headerNames.actor,
    encodeURIComponent(JSON.stringify({ kind: 'system', id: 'launcher', name: 'gantry bench' })),
  );
  sent.set(headerNames.deadline, String(Date.now() + command.timeoutMilliseconds));
  const reply = await nats.request(commandSubject(command), JSON.stringify(input), {
    timeout: command.timeoutMilliseconds,
    headers: sent,
  });
  const answer = reply.json<{ ok: OutputOf<C> } | { error: ErrorOnWire }>();
  if ('error' in answer) throw fromWire(answer.error);
  return answer.ok;
};

const nothing = { sha256: createHash('sha256').update('').digest('hex'), sizeBytes: 0 };

const openRecords = async (
  nats: NatsConnection,
  organizationId: string,
  jobIds: readonly string[],
): Promise<BenchJob[]> => {
  const jobs = jobIds.map((jobId, index): BenchJob => ({
    jobId,
    bearer: randomBytes(32).toString('base64url'),
    seed: index + 1,
  }));
  const openOne = ({ jobId, bearer }: BenchJob) =>
    callAsLauncher(nats, OpenRecord, {
      jobId,
      epoch: 1,
      organizationId,
      bearerSha256: createHash('sha256').update(bearer).digest('hex'),
      payload: {
        project: nothing,
        inventory: nothing,
        playbook: 'site.yml',
        arguments: [],
        environment: {},
        extraVars: {},
        timeoutSeconds: 0,
      },
    });
  for (let index = 0; index < jobs.length; index += OPEN_AT_ONCE)
    await Promise.all(jobs.slice(index, index + OPEN_AT_ONCE).map(openOne));
  return jobs;
};

const settle = async (database: pg.Client, cpu: () => number): Promise<void> => {
  await database.query('checkpoint');
  const started = performance.now();
  for (let before = cpu(); performance.now() - started < SETTLE_MILLISECONDS;) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const now = cpu();
    if (now - before < 0.06) return;
    before = now;
  }
};
