import type { LaunchSnapshot } from '@gantry/contracts/template';
import { describe, expect, it } from 'vitest';
import { payloadOf, playbookArguments } from './playbook.js';

const id = '0193f000-0000-7000-8000-000000000002';
const plain: LaunchSnapshot = {
  name: 'Deploy', description: '', organizationId: id, jobType: 'run', projectId: id, playbook: 'site.yml', scmBranch: '', credentialIds: [],
  executionEnvironmentId: null, extraVars: {}, limit: '', forks: 0, verbosity: 0, jobTags: '', skipTags: '', diffMode: false, becomeEnabled: false,
  timeoutSeconds: 0, allowSimultaneous: false, jobTemplateId: id, jobTemplateVersion: 1, inventoryId: id, projectName: 'p', inventoryName: 'i',
}; // prettier-ignore

describe('the arguments of ansible-playbook', () => {
  it('are none for a plain template', () => expect(playbookArguments(plain)).toEqual([]));
  it('say all that the template says, each value bound to its name', () => {
    const full: LaunchSnapshot = {
      ...plain, limit: '-web*', forks: 10, verbosity: 3, jobTags: 'a,b', skipTags: 'c', jobType: 'check', diffMode: true, becomeEnabled: true,
    }; // prettier-ignore
    expect(playbookArguments(full)).toEqual([
      '--limit=-web*',
      '--forks=10',
      '--tags=a,b',
      '--skip-tags=c',
      '-vvv',
      '--check',
      '--diff',
      '--become',
    ]);
  });
});

describe('the payload', () => {
  const object = { sha256: 'a'.repeat(64), sizeBytes: 1 };
  const payload = payloadOf(
    {
      jobId: 'job-1',
      snapshot: { ...plain, extraVars: { tower_job_id: 'mine', colour: 'blue' } },
      prompts: {},
      launchType: 'manual',
      launchedBy: { userId: 'u', username: 'alice' },
      idempotencyKey: null,
    },
    {
      jobId: 'job-1',
      image: { executionEnvironmentId: id, name: 'ee', image: 'i', digest: null, pull: 'never', reason: '' },
      project: { projectId: id, branch: 'main', commit: 'c0ffee', archive: object },
      inventory: { inventoryId: id, object, totalHosts: 1 },
      credentials: [],
    },
  );
  it('leaves variables alone that ansible-runner reads as integers', () =>
    expect(Object.keys(payload.environment)).toEqual(['PROJECT_REVISION']));
  it("has AWX's variables under both names, behind those of the template", () => {
    expect(payload.extraVars).toMatchObject({
      awx_job_id: 'job-1', tower_job_id: 'mine', awx_user_name: 'alice', tower_job_template_name: 'Deploy', awx_project_revision: 'c0ffee',
      tower_project_scm_branch: 'main', awx_inventory_name: 'i', awx_job_launch_type: 'manual', colour: 'blue',
    }); // prettier-ignore
  });
});
