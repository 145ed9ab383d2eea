import { describe, expect, it } from 'vitest';
import { sayDifference, sayImage, type ImageView } from './ee-contents.js';

const image: ImageView = {
  digest: `sha256:${'1'.repeat(64)}`,
  references: ['localhost/ee:1'],
  inspection: 'INSPECTED',
  inspectedAt: '2026-11-28T10:00:00.000Z',
  failure: null,
  findings: [],
  problems: [],
  operatingSystem: 'Debian GNU/Linux 13 (trixie)',
  python: '3.13.5',
  ansibleCore: '2.19.11',
  ansibleRunner: null,
  sizeBytes: 272_536_278,
  architecture: 'amd64',
  user: '',
  labels: [{ name: 'a', value: '\u001b[2Jb' }],
  packageCounts: [{ kind: 'DPKG', count: 151 }],
  executionEnvironments: [{ id: 'x', name: 'Gantry EE (local)' }],
};

describe('an image in the terminal', () => {
  it('says what it is, and what is missing with what to do', () => {
    const said = sayImage({ ...image, findings: [{ code: 'no_ansible_runner', message: 'The image has no ansible-runner: add it.' }] });
    expect(said).toMatch(/ansible-core +2\.19\.11\n +ansible-runner +none/);
    expect(said).toMatch(/user +root/);
    expect(said).toMatch(/size +272\.5 MB/);
    expect(said).toContain('151 dpkg');
    expect(said).toContain('no ansible-runner: add it.');
    expect(said).not.toContain('\u001b[2J');
  }); // prettier-ignore

  it('shows nothing that is not known', () => {
    expect(sayImage({ ...image, inspection: 'FAILED', inspectedAt: null })).not.toContain('Python');
  });
});

describe('a difference', () => {
  it('is a line for each package that differs', () => {
    expect(
      sayDifference({
        added: [],
        removed: [],
        changed: [{ kind: 'DPKG', name: 'git', from: '1:2', to: '1:3' }],
        properties: [{ name: 'ansible-runner', from: '2.4.1', to: null }],
        unchanged: 150,
      }),
    ).toEqual([
      '~ dpkg        git  1:2 -> 1:3',
      '~ image       ansible-runner  2.4.1 -> none',
      '150 packages are the same.',
    ]);
  });
});
