import { describe, expect, it } from 'vitest';
import { table } from './doctor.mjs';
import { elapsed, Progress } from './progress.mjs';

describe('a duration', () => {
  it.each([
    [430, '0.4 s'],
    [9_949, '9.9 s'],
    [9_960, '10 s'],
    [65_000, '1 min 5 s'],
  ])('of %i ms reads %s', (ms, text) => {
    expect(elapsed(ms)).toBe(text);
  });
});

describe('progress that is not on a terminal', () => {
  it('writes plain lines: one when a step begins, one when it is over', () => {
    const written = [];
    const progress = new Progress({ write: (text) => written.push(text) });
    const step = progress.begin('Compiling');
    progress.done(step);
    progress.failed(progress.begin('Packing'));
    const text = written.join('');
    expect(text).not.toContain('\u001b');
    expect(text.replace(/\d+\.\d s/g, 'TIME').split('\n')).toEqual([
      '.. Compiling',
      'ok Compiling  TIME',
      '.. Packing',
      '!! Packing  failed after TIME',
      '',
    ]);
  });
});

describe('the table of the doctor', () => {
  it('says for what is missing why it is needed and how to get it', () => {
    const findings = [
      { name: 'git', needed: 'fetches projects', found: '2.39', ok: true, optional: false, how: null },
      {
        name: 'podman',
        needed: 'runs jobs',
        found: null,
        ok: false,
        optional: false,
        how: 'apt-get install podman',
      },
    ];
    expect(table({ distro: 'Debian', findings }, (text) => text).split('\n')).toEqual([
      'Debian',
      '',
      'ok  git     2.39',
      '!!  podman  missing',
      '            needed: runs jobs',
      '            get it: apt-get install podman',
    ]);
  });
});
