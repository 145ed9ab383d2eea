import type { JobTemplateSettings, LaunchPrompts, Prompt } from '@gantry/contracts/template';
import { describe, expect, it } from 'vitest';
import { mergePrompts } from './launch.js';

const template = (over: Partial<JobTemplateSettings> = {}): JobTemplateSettings => ({
  name: 'Deploy',
  description: '',
  organizationId: 'o',
  jobType: 'run',
  projectId: 'p',
  inventoryId: 'i',
  playbook: 'site.yml',
  scmBranch: '',
  credentialIds: ['c1', 'c2'],
  executionEnvironmentId: null,
  extraVars: { a: 1, b: { c: 2 } },
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
  ...over,
});

describe('a launch without prompts', () => {
  it('is the template', () => {
    expect(mergePrompts(template(), {})).toEqual(template());
  });
  it('needs an inventory', () => {
    expect(() => mergePrompts(template({ inventoryId: null }), {})).toThrow('set one in the template');
    expect(() => mergePrompts(template({ inventoryId: null, askOnLaunch: ['inventory'] }), {})).toThrow(
      'name one at launch',
    );
  });
});

describe('a prompt', () => {
  const cases: [Prompt, LaunchPrompts, Partial<JobTemplateSettings>][] = [
    ['variables', { extraVars: { b: 3, d: 4 } }, { extraVars: { a: 1, b: 3, d: 4 } }],
    ['limit', { limit: 'web' }, { limit: 'web' }],
    ['inventory', { inventoryId: 'j' }, { inventoryId: 'j' }],
    ['credentials', { credentialIds: ['c3'] }, { credentialIds: ['c3'] }],
    ['executionEnvironment', { executionEnvironmentId: 'e' }, { executionEnvironmentId: 'e' }],
    ['scmBranch', { scmBranch: 'dev' }, { scmBranch: 'dev' }],
    ['tags', { jobTags: 'x' }, { jobTags: 'x' }],
    ['skipTags', { skipTags: 'x' }, { skipTags: 'x' }],
    ['verbosity', { verbosity: 2 }, { verbosity: 2 }],
    ['forks', { forks: 9 }, { forks: 9 }],
    ['jobType', { jobType: 'check' }, { jobType: 'check' }],
    ['diffMode', { diffMode: true }, { diffMode: true }],
    ['timeout', { timeoutSeconds: 60 }, { timeoutSeconds: 60 }],
  ];
  it.each(cases)('for %s is merged when the template asks for it', (prompt, given, expected) => {
    expect(mergePrompts(template({ askOnLaunch: [prompt] }), given)).toMatchObject(expected);
  });
  it.each(cases)('for %s is refused by name when the template does not', (_, given) => {
    expect(() => mergePrompts(template(), given)).toThrow(Object.keys(given)[0]);
  });
  it('that says what the template says is fine', () => {
    const same: LaunchPrompts = {
      extraVars: { b: { c: 2 } },
      limit: '',
      credentialIds: ['c2', 'c1'],
      forks: 0,
      jobType: 'run',
      scmBranch: '',
    };
    expect(mergePrompts(template(), same)).toEqual(template());
  });
  it('with a branch that git would read as an option is refused', () => {
    expect(() => mergePrompts(template({ askOnLaunch: ['scmBranch'] }), { scmBranch: '--output=x' })).toThrow(
      'minus sign',
    );
  });
});
