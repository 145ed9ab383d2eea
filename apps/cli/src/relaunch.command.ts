/** `gantry relaunch`: a past job again, with what is identical, changed or missing said before it starts. */
import { randomUUID } from 'node:crypto';
import { PlatformError } from '@gantry/contracts/errors';
import { findEndpoint, request, type Endpoint } from './client.js';
import { followToEnd, parseExtraVars } from './jobs.command.js';
import { exitCodes, paint, print, printJson, safeOutput } from './terminal.js';

const PLAN = `sha256 possible needsAcceptance limitHosts { totalHosts }
  items { part name status was now edited message }`;

interface Plan {
  sha256: string;
  possible: boolean;
  needsAcceptance: boolean;
  limitHosts: { totalHosts: number } | null;
  items: { part: string; name: string; status: string; edited: boolean; message: string }[];
}
interface Refused {
  message: string;
  plan?: Plan | null;
}

/** Options of `gantry relaunch`. */
export interface RelaunchOptions {
  exact?: boolean;
  current?: boolean;
  failedHosts?: boolean;
  extraVars?: string[];
  limit?: string;
  plan?: boolean;
  accept?: boolean;
  follow?: boolean;
  json?: boolean;
}

/** Exactly unless `--current` is said. Throws `invalid` for both. */
const modeOf = ({ exact, current }: RelaunchOptions): 'EXACT' | 'CURRENT' => {
  if (exact && current)
    throw new PlatformError('invalid', '--exact and --current: say one of them. Without either it is exact.');
  return current ? 'CURRENT' : 'EXACT';
};

/** `gantry relaunch <job>`. */
export const relaunchCommand = async (jobId: string, options: RelaunchOptions): Promise<number> => {
  const mode = modeOf(options);
  const endpoint = findEndpoint();
  const wanted = {
    jobId,
    mode,
    hosts: options.failedHosts ? 'FAILED' : 'ALL',
    changes: {
      ...(options.extraVars?.length ? { extraVars: parseExtraVars(options.extraVars) } : {}),
      ...(options.limit ? { limit: options.limit } : {}),
    },
  };
  const plan = await planOf(endpoint, wanted);
  if (options.plan) {
    if (options.json) printJson(plan);
    else print(describePlan(plan));
    return plan.possible ? exitCodes.ok : exitCodes.refused;
  }
  // Standard output is the job's: what was compared goes beside it.
  process.stderr.write(`${describePlan(plan)}\n`);
  if (!plan.possible)
    throw new PlatformError('refused', 'It cannot be run again exactly: --current runs the template as it is now.'); // prettier-ignore
  if (plan.needsAcceptance && !options.accept)
    throw new PlatformError('refused', 'It would differ from the past job: --accept starts it all the same.');
  const id = await start(endpoint, { ...wanted, planSha256: plan.sha256, accept: Boolean(options.accept) });
  if (options.follow) return followToEnd(endpoint, id, options.json);
  if (options.json) printJson({ id });
  else print(`${id}\nFollow it: ./gantry job ${id} --follow`);
  return exitCodes.ok;
};

const planOf = async (endpoint: Endpoint, wanted: Record<string, unknown>): Promise<Plan> => {
  const { relaunchPlan } = await request<{ relaunchPlan: Plan | Refused }>(
    endpoint,
    `query ($jobId: ID!, $mode: RelaunchMode!, $hosts: RelaunchHosts!, $changes: RelaunchChangesInput) {
      relaunchPlan(jobId: $jobId, mode: $mode, hosts: $hosts, changes: $changes) {
        ... on RelaunchPlan { ${PLAN} } ... on RelaunchRefused { message } } }`,
    wanted,
  );
  if ('message' in relaunchPlan) throw new PlatformError('refused', relaunchPlan.message);
  return relaunchPlan;
};

const start = async (endpoint: Endpoint, wanted: object): Promise<string> => {
  const { relaunchJob } = await request<{ relaunchJob: { job: { id: string } } | Refused }>(
    endpoint,
    `mutation ($input: RelaunchJobInput!) { relaunchJob(input: $input) {
      ... on LaunchedJob { job { id } } ... on RelaunchRefused { message } } }`,
    { input: { ...wanted, idempotencyKey: randomUUID() } },
  );
  if ('job' in relaunchJob) return relaunchJob.job.id;
  throw new PlatformError('refused', relaunchJob.message);
};

const marks: Record<string, string> = {
  IDENTICAL: paint.green('identical'),
  CHANGED: paint.yellow('changed  '),
  MISSING: paint.red('missing  '),
};

/** A line for each part. */
export const describePlan = ({ items }: Pick<Plan, 'items'>): string =>
  safeOutput(items.map(({ status, message }) => `${marks[status] ?? status}  ${message}`).join('\n'));
