/** What the template pages ask, and the launch. */
import { document, type Connection } from '../api/document.js';
import type { JobStatus } from '../jobs/job.queries.js';

/** What a launch may change. */
export type Prompt =
  | 'VARIABLES'
  | 'LIMIT'
  | 'INVENTORY'
  | 'CREDENTIALS'
  | 'EXECUTION_ENVIRONMENT'
  | 'SCM_BRANCH'
  | 'TAGS'
  | 'SKIP_TAGS'
  | 'VERBOSITY'
  | 'FORKS'
  | 'JOB_TYPE'
  | 'DIFF_MODE'
  | 'TIMEOUT';

interface Named {
  id: string;
  name: string;
}

/** A job template. */
export interface JobTemplate extends Named {
  description: string;
  version: number;
  organization: Named | null;
  jobType: string;
  project: Named | null;
  playbook: string;
  inventory: Named | null;
  credentials: Named[];
  executionEnvironment: Named | null;
  scmBranch: string;
  extraVars: unknown;
  limit: string;
  forks: number;
  verbosity: number;
  timeoutSeconds: number;
  allowSimultaneous: boolean;
  askOnLaunch: Prompt[];
  createdAt: string;
}

const fields = `id name description version organization { id name } jobType project { id name } playbook inventory { id name }
  credentials { id name } executionEnvironment { id name } scmBranch extraVars limit forks verbosity timeoutSeconds
  allowSimultaneous askOnLaunch createdAt`;

export const templatesQuery = document<
  { jobTemplates: Connection<JobTemplate> },
  { first: number; after?: string | null }
>(
  `query JobTemplates($first: Int!, $after: String) {
  jobTemplates(first: $first, after: $after) {
    nodes { ${fields} }
    pageInfo { hasNextPage endCursor }
    totalCount
  }
}`,
);

export const templateQuery = document<{ jobTemplate: JobTemplate | null }, { id: string }>(
  `query JobTemplate($id: ID!) { jobTemplate(id: $id) { ${fields} } }`,
);

/** What may be chosen at a launch. */
export const choicesQuery = document<{
  inventories: { nodes: Named[] };
  credentials: { nodes: (Named & { credentialType: string })[] };
  executionEnvironments: { nodes: Named[] };
}>(`query LaunchChoices {
  inventories(first: 200) { nodes { id name } }
  credentials(first: 200) { nodes { id name credentialType } }
  executionEnvironments(first: 200) { nodes { id name } }
}`);

/** A launch. */
export interface LaunchInput {
  jobTemplate: string;
  idempotencyKey: string;
  extraVars?: unknown;
  limit?: string;
  inventoryId?: string;
  credentialIds?: string[];
  executionEnvironmentId?: string;
  scmBranch?: string;
  jobTags?: string;
  skipTags?: string;
  verbosity?: number;
  forks?: number;
  jobType?: 'RUN' | 'CHECK';
  diffMode?: boolean;
  timeoutSeconds?: number;
}

export const launchMutation = document<
  {
    launchJob:
      | { __typename: 'LaunchedJob'; created: boolean; job: { id: string; status: JobStatus } }
      | { __typename: 'LaunchRefused'; code: string; message: string };
  },
  { input: LaunchInput }
>(`mutation LaunchJob($input: LaunchJobInput!) {
  launchJob(input: $input) {
    __typename
    ... on LaunchedJob { created job { id status } }
    ... on LaunchRefused { code message }
  }
}`);
