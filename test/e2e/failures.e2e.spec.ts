import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { allEvents, containersOf, gantry, launch, over } from './api.js';
import { make, makeTemplate, seeded } from './objects.js';

describe('a job that cannot end well', () => {
  it('fails when the playbook fails, and says so', async () => {
    const job = await over(await launch('Demo Failing'));
    expect(job.status).toBe('FAILED');
    expect(job.record?.exitCode).not.toBe(0);
    expect(job.hostSummaries.nodes.some(({ failures }) => failures > 0)).toBe(true);
  });

  it.each([
    ['a playbook that is not in the project', 'no-such.yml', /no-such\.yml/],
    ['a syntax error', 'syntax-error.yml', /syntax|YAML|parse/i],
  ])('%s is told in a sentence', async (_, playbook, sentence) => {
    const job = await over(await launch(await makeTemplate(playbook)));
    expect(['FAILED', 'ERROR']).toContain(job.status);
    expect(job.reason?.message).toMatch(sentence);
    expect(containersOf(job.id)).toEqual([]);
  });

  it('an image that does not exist is an error that names it', async () => {
    const { organizationId } = await seeded();
    const image = `localhost/no-such-image-${randomUUID().slice(0, 8)}:1`;
    const executionEnvironmentId = await make(
      'createExecutionEnvironment',
      'CreateExecutionEnvironmentInput',
      { name: image, image, organizationId, pull: 'NEVER' },
    );
    const job = await over(await launch(await makeTemplate('site.yml', { executionEnvironmentId })));
    expect(job.status).toBe('ERROR');
    expect(job.reason?.message).toContain(image);
    expect(containersOf(job.id)).toEqual([]);
  });

  it('a git URL that does not answer is an error in words', async () => {
    const { organizationId } = await seeded();
    const projectId = await make('createProject', 'CreateProjectInput', {
      name: `gone ${randomUUID()}`,
      organizationId,
      scmUrl: 'git://127.0.0.1:1/gone.git',
    });
    const job = await over(await launch(await makeTemplate('site.yml', { projectId })));
    expect(job.status).toBe('ERROR');
    expect(job.reason?.message).toMatch(/127\.0\.0\.1|refused|git/i);
  });

  it('a template that does not exist is refused by name, with an exit code', () => {
    const { code, stderr } = gantry('launch', 'No Such Template');
    expect(code).toBe(4);
    expect(stderr).toContain('No Such Template');
  });
});

describe('a job that is cancelled', () => {
  it('ends canceled, with what it had printed kept', async () => {
    const id = await launch('Demo Slow', { extraVars: { seconds: 120 } });
    while ((await allEvents(id).catch(() => [])).length === 0)
      await new Promise((resolve) => setTimeout(resolve, 100));
    expect(gantry('cancel', id).code).toBe(0);
    const job = await over(id);
    expect(job.status).toBe('CANCELED');
    expect(job.record?.lastCounter).toBeGreaterThan(0);
    expect(containersOf(id)).toEqual([]);
    expect(gantry('cancel', id).code).toBe(4);
  });
});
