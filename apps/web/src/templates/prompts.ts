/** The prompts of a launch: what was entered, checked and turned into what the API takes. */
import { parse, stringify } from 'yaml';
import type { JobTemplate, LaunchInput, Prompt } from './template.queries.js';

/** What stands in the dialog. */
export interface Answers {
  variables: string;
  limit: string;
  inventoryId: string | null;
  credentialIds: string[];
  executionEnvironmentId: string | null;
  scmBranch: string;
  jobTags: string;
  skipTags: string;
  verbosity: string;
  forks: string;
  jobType: string;
  diffMode: boolean;
  timeoutSeconds: string;
}

/** An object as YAML; empty for an empty one. */
export const asYaml = (value: unknown): string =>
  typeof value === 'object' && value !== null && Object.keys(value).length > 0 ? stringify(value) : '';

/** What the dialog begins with: the template's own settings, or those of an earlier job. */
export const firstAnswers = (
  template: JobTemplate,
  from?: { extraVars: unknown; limit: string },
): Answers => ({
  variables: asYaml(from?.extraVars ?? template.extraVars),
  limit: from?.limit ?? template.limit,
  inventoryId: template.inventory?.id ?? null,
  credentialIds: template.credentials.map(({ id }) => id),
  executionEnvironmentId: template.executionEnvironment?.id ?? null,
  scmBranch: template.scmBranch,
  jobTags: '',
  skipTags: '',
  verbosity: String(template.verbosity),
  forks: String(template.forks),
  jobType: template.jobType,
  diffMode: false,
  timeoutSeconds: String(template.timeoutSeconds),
});

/** Variables from YAML or JSON text (JSON is YAML): an object, or a sentence about what is wrong. */
export const readVariables = (text: string): { value: Record<string, unknown> } | { problem: string } => {
  if (text.trim() === '') return { value: {} };
  let value: unknown;
  try {
    value = parse(text, { maxAliasCount: 100 });
  } catch (error) {
    const [first] = (error instanceof Error ? error.message : String(error)).split('\n');
    return { problem: `This is neither YAML nor JSON: ${first}` };
  }
  if (value === null || value === undefined) return { value: {} };
  if (typeof value !== 'object' || Array.isArray(value)) {
    return {
      problem: 'Variables are names with values, such as "release: 1.4". This is a single value or a list.',
    };
  }
  return { value: value as Record<string, unknown> };
};

/** The launch with what the template asks for and nothing else. Call it with variables that can be read. */
export const launchInputOf = (
  template: JobTemplate,
  answers: Answers,
  idempotencyKey: string,
): LaunchInput => {
  const asks = (prompt: Prompt) => template.askOnLaunch.includes(prompt);
  const variables = readVariables(answers.variables);
  return {
    jobTemplate: template.id,
    idempotencyKey,
    ...(asks('VARIABLES') && 'value' in variables && { extraVars: variables.value }),
    ...(asks('LIMIT') && { limit: answers.limit.trim() }),
    ...(asks('INVENTORY') && answers.inventoryId && { inventoryId: answers.inventoryId }),
    ...(asks('CREDENTIALS') && { credentialIds: answers.credentialIds }),
    ...(asks('EXECUTION_ENVIRONMENT') &&
      answers.executionEnvironmentId && { executionEnvironmentId: answers.executionEnvironmentId }),
    ...(asks('SCM_BRANCH') && answers.scmBranch && { scmBranch: answers.scmBranch.trim() }),
    ...(asks('TAGS') && answers.jobTags && { jobTags: answers.jobTags.trim() }),
    ...(asks('SKIP_TAGS') && answers.skipTags && { skipTags: answers.skipTags.trim() }),
    ...(asks('VERBOSITY') && { verbosity: Number(answers.verbosity) || 0 }),
    ...(asks('FORKS') && { forks: Number(answers.forks) || 0 }),
    ...(asks('JOB_TYPE') && { jobType: answers.jobType === 'CHECK' ? 'CHECK' : 'RUN' }),
    ...(asks('DIFF_MODE') && { diffMode: answers.diffMode }),
    ...(asks('TIMEOUT') && { timeoutSeconds: Number(answers.timeoutSeconds) || 0 }),
  };
};
