/** Launcher: running a past job again. docs/RELAUNCH.md says what is the same and what cannot be. */
import { z } from 'zod';
import { command, Id, IdempotencyKey } from './command.js';
import { relaunchHosts, relaunchModes } from './job.js';
import { LaunchPrompts } from './template.js';

/** What of a job is compared with the past one. */
export const relaunchParts = [
  'template',
  'variables',
  'project',
  'archive',
  'inventory',
  'image',
  'credential',
  'collections',
  'hosts',
] as const;
/** What of a job is compared with the past one. */
export type RelaunchPart = (typeof relaunchParts)[number];

/** `missing`: it is not there any more, and there is nothing to take in its place. */
export const relaunchStatuses = ['identical', 'changed', 'missing'] as const;

/** One thing that the past job ran on, and how it is now. Never a secret, never the value of a variable. */
export const RelaunchItem = z.object({
  part: z.enum(relaunchParts),
  /** Which one: a field of the template, the name of a credential. */
  name: z.string(),
  status: z.enum(relaunchStatuses),
  was: z.string().nullable(),
  now: z.string().nullable(),
  /** The person asked for it with `changes`, or by the choice of hosts: nothing to be accepted. */
  edited: z.boolean(),
  /** A sentence for people. */
  message: z.string(),
});
/** One thing that the past job ran on, and how it is now. */
export type RelaunchItem = z.output<typeof RelaunchItem>;

/** What a relaunch would be. */
export const RelaunchPlan = z.object({
  jobId: Id,
  mode: z.enum(relaunchModes),
  hosts: z.enum(relaunchHosts),
  items: z.array(RelaunchItem),
  /** The hosts that it would be limited to by name, and the first of them; null: by the limit of the template. */
  limitHosts: z.object({ total: z.number().int(), names: z.array(z.string()) }).nullable(),
  /** Nothing is missing. */
  possible: z.boolean(),
  /** Exact, and something differs that nobody asked for: starting it needs `accept`. */
  needsAcceptance: z.boolean(),
  /** Of the items, hex: says which plan was seen. */
  sha256: z.string(),
});
/** What a relaunch would be. */
export type RelaunchPlan = z.output<typeof RelaunchPlan>;

const Relaunch = z.object({
  jobId: Id,
  mode: z.enum(relaunchModes),
  hosts: z.enum(relaunchHosts).default('all'),
  /** Over the past job's own prompts; null takes one of these away. Variables are merged one by one. */
  changes: LaunchPrompts.default({}),
});

/**
 * What a relaunch would be; starts nothing. Looks as a launch would look: it may fetch the project.
 * Errors: not_found, forbidden, invalid (a change), refused with reason not_over | not_pinned | none_failed | too_many_hosts |
 * host_is_pattern | record_dropped.
 */
export const PlanRelaunch = command('launcher.job.plan_relaunch', {
  callers: ['gateway'],
  timeoutMilliseconds: 120_000,
  input: Relaunch,
  output: RelaunchPlan,
});
/**
 * Runs a past job again as a job of its own. The same idempotency key of the same person gives the same job.
 * Errors: those of the plan, and refused with the plan in details.plan and reason relaunch_missing (exact; something is gone),
 * relaunch_changed (exact; something differs, and `accept` is not given), plan_changed (`planSha256` is of another plan).
 */
export const RelaunchJob = command('launcher.job.relaunch', {
  callers: ['gateway'],
  timeoutMilliseconds: 120_000,
  input: Relaunch.extend({
    idempotencyKey: IdempotencyKey,
    /** Exact: the differences are known and accepted. */
    accept: z.boolean().default(false),
    /** Exact: start only if the plan is still the one that was seen. */
    planSha256: z.string().nullish(),
  }),
  output: z.object({ jobId: Id, created: z.boolean() }),
});
/** What the launcher answers about relaunching. */
export const relaunchCommands = [PlanRelaunch, RelaunchJob] as const;
