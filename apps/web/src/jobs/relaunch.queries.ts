/** What the relaunch dialog asks: the plan, and to start it. */
import { document } from '../api/document.js';

/** Exactly, or with the template as it is now. */
export type RelaunchMode = 'EXACT' | 'CURRENT';
/** As the past job, or those that failed in it. */
export type RelaunchHosts = 'ALL' | 'FAILED';

/** A past job to run again, and what is to be otherwise. */
export interface RelaunchWish {
  jobId: string;
  mode: RelaunchMode;
  hosts: RelaunchHosts;
  changes: { extraVars?: Record<string, unknown> };
}

/** One thing that the past job ran on, and how it is now. */
export interface RelaunchItem {
  part: string;
  name: string;
  status: 'IDENTICAL' | 'CHANGED' | 'MISSING' | 'UNKNOWN';
  edited: boolean;
  message: string;
}

/** What a relaunch would be. */
export interface RelaunchPlan {
  __typename: 'RelaunchPlan';
  items: RelaunchItem[];
  possible: boolean;
  needsAcceptance: boolean;
  sha256: string;
}

/** Why there is no plan, or no job. */
export interface RelaunchRefused {
  __typename: 'RelaunchRefused';
  reason: string | null;
  message: string;
}

export const relaunchPlanQuery = document<{ relaunchPlan: RelaunchPlan | RelaunchRefused }, RelaunchWish>(
  `query RelaunchPlan($jobId: ID!, $mode: RelaunchMode!, $hosts: RelaunchHosts!, $changes: RelaunchChangesInput) {
  relaunchPlan(jobId: $jobId, mode: $mode, hosts: $hosts, changes: $changes) {
    __typename
    ... on RelaunchPlan { items { part name status edited message } possible needsAcceptance sha256 }
    ... on RelaunchRefused { reason message }
  }
}`,
);

export const relaunchMutation = document<
  { relaunchJob: { __typename: 'LaunchedJob'; job: { id: string } } | RelaunchRefused },
  { input: RelaunchWish & { idempotencyKey: string; accept: boolean; planSha256: string } }
>(`mutation RelaunchJob($input: RelaunchJobInput!) {
  relaunchJob(input: $input) {
    __typename
    ... on LaunchedJob { job { id } }
    ... on RelaunchRefused { reason message }
  }
}`);
