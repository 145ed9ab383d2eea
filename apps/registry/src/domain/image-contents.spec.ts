import type { InspectionReport } from '@gantry/contracts/image';
import { describe, expect, it } from 'vitest';
import { emptyContents, holding } from '../testing/contents.js';
import { differenceOf, findingsOf, packagesOf } from './image-contents.js';

const deb = (name: string, version: string, arch = 'amd64') => ({ name, version, arch });

describe('packages', () => {
  it('are one list, with the names that Python knows them by', () => {
    const contents = holding({
      pythonPackages: [{ name: 'Jinja2_Time', version: '1' }],
      collections: [{ name: 'community.general', version: '7.5.0', path: '/usr/share/ansible/collections' }],
      systemPackages: [deb('git', '1:2'), deb('git', '1:2')],
    });
    expect(packagesOf(contents)).toEqual([
      { kind: 'collection', name: 'community.general', version: '7.5.0', detail: '/usr/share/ansible/collections' },
      { kind: 'python', name: 'jinja2-time', version: '1', detail: '' },
      { kind: 'dpkg', name: 'git', version: '1:2', detail: 'amd64' },
    ]); // prettier-ignore
  });
});

describe('an image', () => {
  it.each<[Partial<InspectionReport>, string[]]>([
    [{}, []],
    [{ ansibleRunner: null }, ['no_ansible_runner']],
    [{ ansibleRunner: null, ansibleCore: null }, ['no_ansible_core', 'no_ansible_runner']],
    [{ python: null, ansibleCore: null, ansibleRunner: null }, ['no_python']],
    [{ python: { version: '3.11.2', executable: '/opt/python', default: '3.6.8' } }, ['python_too_old']],
  ])('%o is told as %o', (report, codes) => {
    const findings = findingsOf({ ...emptyContents.report, ...report });
    expect(findings.map(({ code }) => code)).toEqual(codes);
    for (const { message } of findings) expect(message).toMatch(/: (add|build) .+\.$/);
  });
});

describe('two images', () => {
  const packages = [deb('git', '1:2'), deb('libc6', '2.41'), deb('libc6', '2.41', 'i386')];
  const before = holding({ systemPackages: packages });
  it('that differ by one package list that one alone', () => {
    const after = holding({ systemPackages: [deb('git', '1:3'), ...packages.slice(1)] });
    expect(differenceOf(before, after)).toEqual({
      added: [],
      removed: [],
      changed: [{ kind: 'dpkg', name: 'git', from: '1:2', to: '1:3' }],
      properties: [],
      unchanged: 2,
    });
    expect(differenceOf(before, holding({ systemPackages: packages.slice(1) }))).toMatchObject({
      removed: [{ name: 'git' }],
      changed: [],
    });
    expect(differenceOf(before, before)).toMatchObject({ added: [], removed: [], changed: [], unchanged: 3 });
  });
  it('may differ in more than packages', () => {
    const after = holding({ ansibleRunner: null });
    after.config = { ...after.config, labels: {} };
    expect(differenceOf(holding({}), after).properties).toEqual([
      { name: 'ansible-runner', from: '2.4.1', to: null },
      { name: 'label a', from: 'b', to: null },
    ]);
  });
});
