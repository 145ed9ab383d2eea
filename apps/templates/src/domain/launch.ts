/** What a job will run: a template with a launch's prompts merged in. A value that the template does not ask for is refused, never ignored. */
import { PlatformError } from '@gantry/contracts/errors';
import type { JobTemplateSettings, LaunchPrompts, Prompt } from '@gantry/contracts/template';
import { checkRef } from './git-address.js';
import { checkVariables, mergeVariables, sameJson } from './variables.js';

/** Which template prompt lets a launch set which field. */
const fieldPrompts = {
  extraVars: 'variables',
  limit: 'limit',
  inventoryId: 'inventory',
  credentialIds: 'credentials',
  executionEnvironmentId: 'executionEnvironment',
  scmBranch: 'scmBranch',
  jobTags: 'tags',
  skipTags: 'skipTags',
  verbosity: 'verbosity',
  forks: 'forks',
  jobType: 'jobType',
  diffMode: 'diffMode',
  timeoutSeconds: 'timeout',
} as const satisfies Record<keyof LaunchPrompts, Prompt>;

type Field = keyof typeof fieldPrompts;

/** The template's settings with the prompts in; `inventoryId` is set. Throws `invalid`, naming every field that is wrong. */
export const mergePrompts = (
  settings: JobTemplateSettings,
  prompts: LaunchPrompts,
): JobTemplateSettings & { inventoryId: string } => {
  const given = (Object.keys(fieldPrompts) as Field[]).filter(
    (field) => prompts[field] !== null && prompts[field] !== undefined,
  );
  const refused = given.filter(
    (field) =>
      !settings.askOnLaunch.includes(fieldPrompts[field]) && !saysNothingNew(field, settings, prompts),
  );
  if (refused.length > 0) {
    throw new PlatformError(
      'invalid',
      `The job template ${settings.name} does not ask for ${refused.join(', ')} on launch: leave ${refused.length > 1 ? 'them' : 'it'} out, or have the template ask for ${refused.map((field) => fieldPrompts[field]).join(', ')}.`,
      { details: { fields: refused } },
    );
  }
  const merged: Record<string, unknown> = { ...settings };
  for (const field of given)
    if (settings.askOnLaunch.includes(fieldPrompts[field])) merged[field] = prompts[field];
  if (prompts.extraVars) {
    checkVariables(prompts.extraVars, 'the launch');
    merged['extraVars'] = mergeVariables(settings.extraVars, prompts.extraVars);
  }
  checkRef(merged['scmBranch'] as string);
  if (!merged['inventoryId']) {
    const how = settings.askOnLaunch.includes('inventory')
      ? 'name one at launch (inventoryId)'
      : 'set one in the template';
    throw new PlatformError('invalid', `The job template ${settings.name} has no inventory: ${how}.`, {
      details: { fields: ['inventoryId'] },
    });
  }
  return merged as JobTemplateSettings & { inventoryId: string };
};

/** The template has that very value already. */
const saysNothingNew = (field: Field, settings: JobTemplateSettings, prompts: LaunchPrompts): boolean => {
  if (field === 'extraVars') {
    return Object.entries(prompts.extraVars!).every(
      ([key, value]) => Object.hasOwn(settings.extraVars, key) && sameJson(settings.extraVars[key], value),
    );
  }
  if (field === 'credentialIds')
    return sameJson([...prompts.credentialIds!].sort(), [...settings.credentialIds].sort());
  return sameJson(prompts[field], settings[field]);
};
