import type { JobTemplateSettings } from '@gantry/contracts/template';
import { givenFor } from '@gantry/testkit/given';
import { describe, expect, it } from 'vitest';
import * as jobTemplate from './job-template.js';
import * as project from './project.js';

const projectId = 'p';
const settings = {
  projectId,
  name: 'Demo',
  description: '',
  organizationId: 'o',
  scmType: 'git' as const,
  scmUrl: 'https://host/x',
  scmBranch: '',
  scmUpdateOnLaunch: false,
};
const created: project.ProjectEvent = { type: 'project.created', version: 1, data: settings };
const found = {
  projectId,
  branch: 'main',
  commit: 'c1',
  archive: { sha256: 'aa', sizeBytes: 1 },
  playbooks: ['site.yml'],
};
const synced: project.ProjectEvent = { type: 'project.synced', version: 1, data: found };
const failure = { projectId, branch: '', message: 'no' };
const failed: project.ProjectEvent = { type: 'project.sync_failed', version: 1, data: failure };

describe('a project', () => {
  const given = givenFor<project.ProjectState | null, project.ProjectCommand, project.ProjectEvent>({
    ...project,
  });
  const create = (over = {}): project.ProjectCommand => ({
    kind: 'create',
    settings: { ...settings, ...over },
    allowFile: false,
  });

  it('is created once', () => {
    given([]).when(create()).then([created]);
    given([created]).when(create()).thenThrows('conflict');
  });
  it('takes no hostile URL or branch', () => {
    given([])
      .when(create({ scmUrl: 'ext::sh -c id' }))
      .thenThrows('invalid');
    given([])
      .when(create({ scmUrl: 'file:///etc' }))
      .thenThrows('invalid');
    given([])
      .when(create({ scmBranch: '--output=x' }))
      .thenThrows('invalid');
  });
  it('takes no credential yet, and says so', () => {
    expect(
      given([])
        .when(create({ credentialId: 'c' }))
        .thenThrows('refused', 'project_credential_unsupported'),
    ).toContain('leave out credentialId');
  });
  it('remembers a sync that found something new', () => {
    given([created])
      .when({ kind: 'synced', ...found })
      .then([synced]);
    given([created, synced])
      .when({ kind: 'synced', ...found })
      .thenNothing();
    given([created, synced])
      .when({ kind: 'synced', ...found, commit: 'c2' })
      .then([{ ...synced, data: { ...found, commit: 'c2' } } as project.ProjectEvent]);
  });
  it('has the default execution environment that was set last, whatever is fetched', () => {
    const set = (executionEnvironmentId: string | null): project.ProjectEvent => ({
      type: 'project.default_environment_set',
      version: 1,
      data: { projectId, executionEnvironmentId },
    });
    const command = (executionEnvironmentId: string | null): project.ProjectCommand => ({
      kind: 'set default environment',
      projectId,
      executionEnvironmentId,
    });
    given([created])
      .when(command('e'))
      .then([set('e')]);
    given([created, set('e'), synced])
      .when(command('e'))
      .thenNothing();
    given([created, set('e'), synced])
      .when({ kind: 'synced', ...found })
      .thenNothing();
    given([]).when(command('e')).thenThrows('not_found');
  });
  it('remembers a failure once, and that it is over', () => {
    given([created, synced])
      .when({ kind: 'failed', ...failure })
      .then([failed]);
    given([created, failed])
      .when({ kind: 'failed', ...failure })
      .thenNothing();
    given([created, synced, failed])
      .when({ kind: 'synced', ...found })
      .then([synced]);
    given([])
      .when({ kind: 'failed', ...failure })
      .thenThrows('not_found');
  });
});

describe('a job template', () => {
  const given = givenFor<
    jobTemplate.JobTemplateState | null,
    jobTemplate.JobTemplateCommand,
    jobTemplate.JobTemplateEvent
  >({ ...jobTemplate });
  const base: JobTemplateSettings = {
    name: 'Deploy',
    description: '',
    organizationId: 'o',
    jobType: 'run',
    projectId,
    inventoryId: null,
    playbook: 'site.yml',
    scmBranch: '',
    credentialIds: [],
    extraVars: {},
    limit: '',
    forks: 0,
    verbosity: 0,
    jobTags: '',
    skipTags: '',
    diffMode: false,
    becomeEnabled: false,
    timeoutSeconds: 0,
    allowSimultaneous: false,
    askOnLaunch: [],
  };
  const createdTemplate: jobTemplate.JobTemplateEvent = {
    type: 'job_template.created',
    version: 1,
    data: { jobTemplateId: 't', ...base },
  };
  const create = (over: Partial<JobTemplateSettings> = {}): jobTemplate.JobTemplateCommand => ({
    kind: 'create',
    jobTemplateId: 't',
    settings: { ...base, ...over },
  });
  const revise = (
    over: Partial<JobTemplateSettings>,
    expectedVersion: number | null = null,
  ): jobTemplate.JobTemplateCommand => ({
    kind: 'revise',
    jobTemplateId: 't',
    settings: { ...base, ...over },
    version: 1,
    expectedVersion,
  });

  it('is created, and revised when something changes', () => {
    given([]).when(create()).then([createdTemplate]);
    given([createdTemplate]).when(revise({})).thenNothing();
    given([createdTemplate])
      .when(revise({ forks: 7 }))
      .then([{ type: 'job_template.revised', version: 1, data: { jobTemplateId: 't', ...base, forks: 7 } }]);
  });
  it('is not revised by somebody who has not seen the last revision', () => {
    given([createdTemplate])
      .when(revise({ forks: 7 }, 1))
      .then([{ type: 'job_template.revised', version: 1, data: { jobTemplateId: 't', ...base, forks: 7 } }]);
    given([createdTemplate])
      .when({ ...revise({ forks: 7 }, 1), version: 2 } as jobTemplate.JobTemplateCommand)
      .thenThrows('conflict', 'revised');
    given([]).when(revise({})).thenThrows('not_found');
  });
  it.each(['/etc/passwd', '../site.yml', 'a/../../b.yml', '-e.yml', 'a//b.yml', './site.yml', 'a\nb.yml'])(
    'refuses the playbook %j',
    (playbook) => {
      given([]).when(create({ playbook })).thenThrows('invalid');
    },
  );
  it('takes a credential once', () => {
    given([])
      .when(create({ credentialIds: ['c', 'c'] }))
      .thenThrows('invalid');
  });
});
