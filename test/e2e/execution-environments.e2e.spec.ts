/** Execution environments: whose a job gets and why, and what people may do with them. */
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { ask, gantry, launch, machine, over } from './api.js';
import { make, makeTemplate, seeded, type Seeded } from './objects.js';

let ids: Seeded;
beforeAll(async () => {
  ids = await seeded();
});

const refused = '... on ExecutionEnvironmentRefused { code reason message users { kind name } }';
const create = (name: string, organizationId: string | null = null): Promise<string> =>
  make('createExecutionEnvironment', 'CreateExecutionEnvironmentInput', {
    name,
    organizationId,
    image: machine().eeImage,
    pull: 'NEVER',
  });
const remove = (id: string, token?: string) =>
  ask<{ deleteExecutionEnvironment: Record<string, unknown> }>(
    `mutation ($id: ID!) { deleteExecutionEnvironment(id: $id) { ... on DeletedExecutionEnvironment { id } ${refused} } }`,
    { id },
    token,
  );
/** Why a job's image is this one. */
const pinOf = async (jobId: string) => {
  await over(jobId);
  const { job } = await ask<{ job: { pinned: { image: Record<string, unknown> } } }>(
    'query ($id: ID!) { job(id: $id) { pinned { image { executionEnvironmentId from reason resolution } } } }',
    { id: jobId },
  );
  return job.pinned.image;
};

describe('the execution environment of a job', () => {
  it("is the project's default where the template names none, and says so; what is used cannot be deleted", async () => {
    const name = `test ${randomUUID()}`;
    const id = await create(name);
    const projectId = await make('createProject', 'CreateProjectInput', {
      name: `test ${randomUUID()}`,
      organizationId: ids.organizationId,
      scmUrl: (
        await ask<{ project: { scmUrl: string } }>('query ($id: ID!) { project(id: $id) { scmUrl } }', {
          id: ids.projectId,
        })
      ).project.scmUrl,
      scmBranch: 'main',
      defaultEnvironmentId: id,
    });
    const template = await makeTemplate('site.yml', { projectId });
    expect(await pinOf(await launch(template))).toEqual({
      executionEnvironmentId: id,
      from: 'PROJECT',
      reason: 'the default of the project',
      resolution: 'LOCAL',
    });

    expect((await remove(id)).deleteExecutionEnvironment).toMatchObject({
      code: 'REFUSED',
      reason: 'in_use',
      users: [{ kind: 'PROJECT' }],
    });
    await ask(
      'mutation ($id: ID!) { setProjectDefaultEnvironment(id: $id, executionEnvironmentId: null) { id } }',
      { id: projectId },
    );
    expect(await pinOf(await launch(template))).toMatchObject({ from: 'SETTING' });
    expect((await remove(id)).deleteExecutionEnvironment).toEqual({ id });
  });
});

describe('somebody who may only look', () => {
  it('changes and deletes nothing, and asks no registry', async () => {
    const id = await create(`test ${randomUUID()}`, ids.organizationId);
    const userId = await make('createUser', 'CreateUserInput', {
      username: `reader-${randomUUID().slice(0, 8)}`,
    });
    await ask('mutation ($input: RoleInput!) { grantRole(input: $input) { id } }', {
      input: { userId, organizationId: ids.organizationId, role: 'READ' },
    });
    const { issueToken } = await ask<{ issueToken: { token: string } }>(
      'mutation ($userId: ID) { issueToken(input: { userId: $userId }) { token } }',
      { userId },
    );
    const answers = await ask<Record<string, Record<string, unknown>>>(
      `mutation ($id: ID!) {
        changed: changeExecutionEnvironment(input: { id: $id, description: "mine" }) { ${refused} }
        resolved: resolveExecutionEnvironment(id: $id) { ${refused} }
        deleted: deleteExecutionEnvironment(id: $id) { ${refused} } }`,
      { id },
      issueToken.token,
    );
    for (const answer of Object.values(answers)) expect(answer).toMatchObject({ code: 'FORBIDDEN' });
    await remove(id);
  });
});

describe('gantry ee', () => {
  it('makes, shows, changes and deletes one, and says what is refused', () => {
    const name = `cli ${randomUUID()}`;
    const wrong = gantry('ee', 'create', name, 'quay.io/Team/ee:1');
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('"Team"') as string });
    expect(gantry('ee', 'create', name, machine().eeImage, '--pull', 'never').code).toBe(0);
    expect(gantry('ee', 'change', name, '--description', 'changed', '--expected-version', '1').code).toBe(0);
    const late = gantry('ee', 'change', name, '--description', 'late', '--expected-version', '1');
    expect(late).toMatchObject({ code: 4, stderr: expect.stringContaining('read it again') as string });
    const shown = JSON.parse(gantry('ee', 'show', name, '--json').stdout) as Record<string, unknown>;
    expect(shown).toMatchObject({ name, version: 2, description: 'changed', pull: 'NEVER' });
    expect(gantry('ee', 'history', name).code).toBe(0);
    expect(gantry('ee', 'resolve', name).stdout).toContain('local to the engine');
    expect(gantry('ee', 'delete', name).code).toBe(0);
    expect(gantry('ee', 'show', name)).toMatchObject({ code: 4 });
    expect(gantry('ee', 'list').stdout).toContain('Control Plane Execution Environment');
  });
});
