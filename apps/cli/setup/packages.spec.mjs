import { describe, expect, it } from 'vitest';
import { choosePackages } from './packages.mjs';

const need = (packages, wanted) => ({
  name: 'x',
  why: 'y',
  elsewhere: 'z',
  present: false,
  packages,
  wanted,
});

describe('the packages to install', () => {
  it('are all that are needed, each once, and the wanted ones that exist', () => {
    const missing = [need(['podman', 'runc'], ['netavark', 'passt']), need(['podman', 'git'])];
    expect(choosePackages(missing, new Map([['netavark', '1.4']]))).toEqual([
      'podman',
      'runc',
      'git',
      'netavark',
    ]);
  });

  it('hold only one kind of network', () => {
    const missing = [need(['podman'], ['netavark', 'containernetworking-plugins'])];
    const both = new Map([
      ['netavark', '1.4'],
      ['containernetworking-plugins', '1.1'],
    ]);
    expect(choosePackages(missing, both)).toEqual(['podman', 'netavark']);
    expect(choosePackages(missing, new Map([['containernetworking-plugins', '1.1']]))).toEqual([
      'podman',
      'containernetworking-plugins',
    ]);
  });
});
