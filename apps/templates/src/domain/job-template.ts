/** A job template: what a job runs, and what a launch may change of it. Stream `job_template-<id>`; its version is the template's. */
import type { EventOf } from '@gantry/contracts/envelope';
import { PlatformError } from '@gantry/contracts/errors';
import type { JobTemplateCreated, JobTemplateRevised, JobTemplateSettings } from '@gantry/contracts/template';
import { checkRef } from './git-address.js';
import { checkVariables, sameJson } from './variables.js';

export type JobTemplateEvent = EventOf<typeof JobTemplateCreated | typeof JobTemplateRevised>;
export interface JobTemplateState {
  settings: JobTemplateSettings;
}
export type JobTemplateCommand =
  | { kind: 'create'; jobTemplateId: string; settings: JobTemplateSettings }
  | {
      kind: 'revise';
      jobTemplateId: string;
      settings: JobTemplateSettings;
      version: number;
      expectedVersion: number | null;
    };

/** Before the first event. */
export const initial: JobTemplateState | null = null;

/** State after an event. */
export const evolve = (_state: JobTemplateState | null, event: JobTemplateEvent): JobTemplateState => {
  const { jobTemplateId: _, ...settings } = event.data;
  return { settings };
};

/** Events that follow from a command; none when nothing changes. Throws `invalid`, `conflict`, `not_found`. */
export const decide = (state: JobTemplateState | null, command: JobTemplateCommand): JobTemplateEvent[] => {
  const { jobTemplateId, settings } = command;
  checkSettings(settings);
  if (command.kind === 'create') {
    if (state) throw new PlatformError('conflict', `The job template ${state.settings.name} exists already.`);
    return [{ type: 'job_template.created', version: 1, data: { jobTemplateId, ...settings } }];
  }
  if (!state) throw new PlatformError('not_found', `There is no job template ${jobTemplateId}.`);
  const { version, expectedVersion } = command;
  if (expectedVersion !== null && expectedVersion !== version) {
    throw new PlatformError(
      'conflict',
      `${state.settings.name} was revised since you read it (version ${version}, you had ${expectedVersion}): read it again.`,
      {
        details: { reason: 'revised', expected: expectedVersion, actual: version },
      },
    );
  }
  if (sameJson(state.settings, settings)) return [];
  return [{ type: 'job_template.revised', version: 1, data: { jobTemplateId, ...settings } }];
};

const checkSettings = (settings: JobTemplateSettings): void => {
  checkRef(settings.scmBranch);
  checkVariables(settings.extraVars, `the job template ${settings.name}`);
  const { playbook } = settings;
  const parts = playbook.split('/');
  const odd =
    /[\u0000-\u001f\u007f\\]/.test(playbook) ||
    playbook.startsWith('-') ||
    parts.includes('..') ||
    parts.includes('') ||
    parts.includes('.');
  if (odd) {
    throw new PlatformError(
      'invalid',
      'playbook is a path inside the project, like site.yml or playbooks/deploy.yml: not absolute, without .. in it.',
      { details: { field: 'playbook' } },
    );
  }
  if (new Set(settings.credentialIds).size !== settings.credentialIds.length) {
    throw new PlatformError('invalid', 'credentialIds names a credential twice.', {
      details: { field: 'credentialIds' },
    });
  }
};
