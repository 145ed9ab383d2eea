import type { LaunchSnapshot } from '@gantry/contracts/template';
import { describe, expect, it } from 'vitest';
import {
  checkLimitHosts,
  compareJobs,
  mergeChanges,
  type NextJob,
  type PastJob,
  type Pins,
} from './relaunch.js';

const id = '0193f000-0000-7000-8000-000000000001';
const object = (letter: string) => ({ sha256: letter.repeat(64), sizeBytes: 1 });
const snapshot: LaunchSnapshot = {
  name: 'Deploy', description: '', organizationId: id, jobType: 'run', projectId: id, playbook: 'site.yml', scmBranch: '', credentialIds: [id],
  executionEnvironmentId: null, extraVars: { release: '1.4', token: 'hunter2' }, limit: '', forks: 0, verbosity: 0, jobTags: '', skipTags: '',
  diffMode: false, becomeEnabled: false, timeoutSeconds: 0, allowSimultaneous: false, jobTemplateId: id, jobTemplateVersion: 3, inventoryId: id,
  projectName: 'Playbooks', inventoryName: 'Fleet',
}; // prettier-ignore
const pins: Pins = {
  image: { image: 'registry.example/ee:1', digest: 'sha256:1111' },
  project: { projectId: id, branch: 'main', commit: 'c0ffee', archive: object('a') },
  inventory: { inventoryId: id, object: object('b'), totalHosts: 3 },
  credentials: [{ id, version: 1, name: 'Login', credentialType: 'ssh' }],
  collectionsLock: null,
};
const past: PastJob = { snapshot, limitHosts: null, pins };
const same: NextJob = {
  snapshot,
  image: { is: pins.image },
  project: { is: pins.project },
  inventory: { is: pins.inventory },
  credentials: pins.credentials,
  missingCredentials: new Map(),
  collectionsLock: null,
  limitHosts: null,
  failedHosts: false,
  inventoryDifference: null,
};
const of = (next: Partial<NextJob>, changes = {}, before: Partial<PastJob> = {}) =>
  compareJobs({ ...past, ...before }, { ...same, ...next }, changes);
const told = (items: ReturnType<typeof of>) =>
  items.filter(({ status }) => status !== 'identical').map(({ part, name, status, edited }) => [part, name, status, edited]); // prettier-ignore

describe('a past job compared with the next', () => {
  it('is identical in every part when nothing has changed', () => {
    const items = of({});
    expect(told(items)).toEqual([]);
    expect(items.map(({ part }) => part)).toEqual([
      'template', 'variables', 'project', 'archive', 'inventory', 'image', 'credential', 'collections', 'hosts',
    ]); // prettier-ignore
    expect(items.every(({ message }) => message.endsWith('.'))).toBe(true);
  });

  it('tells a template field by field, and who wanted it so', () => {
    const next = { ...snapshot, jobTemplateVersion: 5, forks: 20, verbosity: 2 };
    const items = of({ snapshot: next }, { verbosity: 2 });
    expect(told(items)).toEqual([
      ['template', 'forks', 'changed', false],
      ['template', 'verbosity', 'changed', true],
    ]);
    expect(items[0]).toMatchObject({ was: '0', now: '20' });
  });

  it('is not troubled by a new version with the same settings', () => {
    expect(told(of({ snapshot: { ...snapshot, jobTemplateVersion: 9 } }))).toEqual([]);
  });

  it('tells which variables differ, and never a value', () => {
    const items = of(
      { snapshot: { ...snapshot, extraVars: { release: '1.5', region: 'eu' } } },
      { extraVars: {} },
    );
    expect(told(items)).toEqual([['variables', 'extra variables', 'changed', true]]);
    expect(items[1]!.message).toBe(
      'Extra variables differ; other values: release; new: region; gone: token.',
    );
    expect(JSON.stringify([items, of({})])).not.toMatch(/hunter2|1\.4|1\.5/);
  });

  it('tells another commit, image, inventory and a credential that was changed', () => {
    const items = of({
      project: { is: { ...pins.project, commit: 'beef', archive: object('d') } },
      image: { is: { image: 'registry.example/ee:1', digest: 'sha256:2222' } },
      inventory: { is: { ...pins.inventory, object: object('e'), totalHosts: 4 } },
      inventoryDifference: {
        added: { total: 2, names: ['x', 'y'] },
        removed: { total: 1, names: ['z'] },
        changed: { total: 0, names: [] },
        groupsChanged: false,
      },
      credentials: [{ ...pins.credentials[0]!, version: 2 }],
    });
    expect(told(items)).toEqual([
      ['project', 'Playbooks', 'changed', false],
      ['inventory', 'Fleet', 'changed', false],
      ['image', 'registry.example/ee:1', 'changed', false],
      ['credential', 'Login', 'changed', false],
      // It follows from image and commit.
      ['collections', 'collections', 'changed', true],
    ]);
    const messages = items.map(({ message }) => message).join('\n');
    expect(messages).toContain('3 hosts then, 4 now; 2 added (x, y), 1 removed (z)');
    expect(messages).toContain("version 1 then, 2 now): the job would get today's values");
  });

  it('tells what is gone, in a sentence', () => {
    const items = of({
      image: { missing: 'The image is gone.' },
      inventory: { missing: 'The snapshot is gone.' },
      project: { missing: 'The archive is gone.' },
      credentials: [],
      missingCredentials: new Map([[id, 'The credential Login is gone.']]),
    });
    expect(items.filter(({ status }) => status === 'missing').map(({ message }) => message)).toEqual([
      'The archive is gone.',
      'The snapshot is gone.',
      'The image is gone.',
      'The credential Login is gone.',
    ]);
  });

  it('does not call an archive that was packed anew the same', () => {
    expect(told(of({ project: { is: { ...pins.project, archive: object('f') } } }))).toEqual([
      ['archive', 'Playbooks', 'changed', false],
    ]);
  });

  it('is told that credentials came and went with a change', () => {
    const other = { id: id.replace('1', '2'), version: 4, name: 'Other', credentialType: 'ssh' };
    expect(told(of({ credentials: [other] }, { credentialIds: [other.id] }))).toEqual([
      ['credential', 'Login', 'changed', true],
      ['credential', 'Other', 'changed', true],
    ]);
  });

  it('says which hosts it is limited to', () => {
    const items = of({ limitHosts: ['a', 'b'], failedHosts: true });
    expect(told(items)).toEqual([['hosts', 'hosts', 'changed', true]]);
    expect(items.at(-1)!.message).toBe('Only the 2 hosts that failed or could not be reached: a, b.');
    expect(told(of({ limitHosts: ['a'] }, {}, { limitHosts: ['a'] }))).toEqual([]);
  });

  it('is compared in what it was asked for if it ended before anything was fixed', () => {
    const items = of({}, {}, { pins: null });
    expect(items.map(({ part }) => part)).toEqual(['template', 'variables', 'project', 'hosts']);
    expect(items[2]!.message).toContain('nothing to compare');
  });

  it('says what locks the collections, and that nothing is installed', () => {
    const lock = { file: 'collections/requirements.yml', sha256: 'f'.repeat(64) };
    const items = of({ collectionsLock: lock }, {}, { pins: { ...pins, collectionsLock: lock } });
    expect(items.find(({ part }) => part === 'collections')).toMatchObject({
      status: 'identical',
      name: lock.file,
      was: lock.sha256,
      message: expect.stringContaining('Nothing is installed at launch'),
    });
    expect(of({}).find(({ part }) => part === 'collections')!.message).toContain(
      'no collections/requirements.yml',
    );
  });
});

describe('a limit of failed hosts', () => {
  it('holds them as they are', () => expect(checkLimitHosts(['a', 'b-1'], 2, 10)).toEqual(['a', 'b-1']));

  it.each([
    [[], 0, 'none_failed'],
    [['a'], 11, 'too_many_hosts'],
    [['a'.repeat(600_000)], 1, 'too_many_hosts'],
    ...['all', '!a', '~.*', 'web*', 'a:b', '@file', '-x', 'a b'].map((name): [string[], number, string] => [
      [name],
      1,
      'host_is_pattern',
    ]),
  ])('is refused for %j', (names, total, reason) => {
    expect(() => checkLimitHosts(names, total, 10)).toThrow(
      expect.objectContaining({ code: 'refused', details: { reason } }),
    );
  });
});

describe('changes', () => {
  it('go over the past prompts: variables one by one, null takes one away', () => {
    expect(
      mergeChanges({ limit: 'web', extraVars: { a: 1, b: 1 } }, { limit: null, extraVars: { b: 2 } }),
    ).toEqual({
      limit: null,
      extraVars: { a: 1, b: 2 },
    });
  });
});
