import { describe, expect, it } from 'vitest';
import { firstAnswers, launchInputOf, readVariables } from './prompts.js';
import type { JobTemplate } from './template.queries.js';

const template: JobTemplate = {
  id: 't1',
  name: 'Deploy',
  description: '',
  version: 1,
  organization: null,
  jobType: 'RUN',
  project: null,
  playbook: 'site.yml',
  inventory: { id: 'i1', name: 'hosts' },
  credentials: [],
  executionEnvironment: null,
  scmBranch: '',
  extraVars: { release: '1.4' },
  limit: 'web*',
  forks: 0,
  verbosity: 0,
  timeoutSeconds: 0,
  allowSimultaneous: false,
  askOnLaunch: ['VARIABLES'],
  createdAt: '',
};

describe('variables of a launch', () => {
  it('may be YAML or JSON', () => {
    expect(readVariables('release: 1.4\nhosts: [a, b]')).toEqual({
      value: { release: 1.4, hosts: ['a', 'b'] },
    });
    expect(readVariables('{"release": "1.4"}')).toEqual({ value: { release: '1.4' } });
    expect(readVariables('  \n# nothing')).toEqual({ value: {} });
  });

  it('are refused with a sentence when they are something else', () => {
    expect(readVariables('a: [')).toHaveProperty(
      'problem',
      expect.stringMatching(/neither YAML nor JSON: .+line 1/),
    );
    expect(readVariables('- a\n- b')).toHaveProperty('problem', expect.stringContaining('a list'));
    expect(readVariables('hello')).toHaveProperty('problem');
  });
});

describe('a launch', () => {
  it('carries what the template asks for and nothing else', () => {
    const answers = { ...firstAnswers(template), limit: 'db1' };
    expect(launchInputOf(template, answers, 'key')).toEqual({
      jobTemplate: 't1',
      idempotencyKey: 'key',
      extraVars: { release: '1.4' },
    });
  });

  it('begins with what an earlier job had', () => {
    expect(firstAnswers(template, { extraVars: { release: '2' }, limit: 'db*' })).toMatchObject({
      variables: 'release: "2"\n',
      limit: 'db*',
    });
  });
});
