import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readDefinition } from './definition.js';
import { loadDefinition } from './load.js';

const work = mkdtempSync(join(tmpdir(), 'gantry-definition-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const whole = {
  version: 3,
  images: { base_image: { name: 'registry.example/base:1' } },
};
const fault = (value: unknown): string => {
  try {
    readDefinition(value, 'ee.yml');
  } catch (error) {
    return (error as Error).message;
  }
  return 'no fault';
};
/** Writes files and loads the definition among them. */
const load = (files: Record<string, string>) => {
  const folder = mkdtempSync(join(work, 'one-'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return loadDefinition(join(folder, 'execution-environment.yml'));
};
const head = 'version: 3\nimages: {base_image: {name: registry.example/base:1}}\n';

describe('a definition', () => {
  it('needs a version and a base image; the rest has defaults', () => {
    expect(readDefinition(whole, 'ee.yml').options).toEqual({
      container_init: { cmd: '["bash"]' },
      package_manager_path: '/usr/bin/dnf',
      skip_ansible_check: false,
      relax_passwd_permissions: true,
      workdir: '/runner',
      user: '1000',
      tags: [],
    });
  });

  it('is refused with every fault at its place', () => {
    const message = fault({
      version: 3,
      images: { base_image: {} },
      dependencies: { ansible_core: {}, python: [1], python_interpreter: { python_path: 'python3' } },
      additional_build_files: [{ src: 'a', dest: '../b' }],
      options: { skip_ansible_check: 'yes', package_manager_path: '/usr/bin/zypper' },
    });
    for (const line of [
      'ee.yml is not right:',
      '  images.base_image.name: is missing',
      '  dependencies.ansible_core: name either package_pip',
      '  dependencies.python[0]: ',
      '  dependencies.python_interpreter.python_path: write the whole path',
      '  additional_build_files[0].dest: the destination lies below _build',
      '  options.skip_ansible_check: ',
      '  options.package_manager_path: ',
    ])
      expect(message).toContain(line);
  });

  it('is refused for unknown keys, by name', () => {
    expect(fault({ ...whole, dependencies: { pyhton: [] } })).toContain(
      'dependencies.pyhton: there is no such key',
    );
    expect(fault({ ...whole, options: { relax_password_permissions: true } })).toContain(
      'options.relax_password_permissions: there is no such key in version 3: write relax_passwd_permissions',
    );
  });

  it('of an older version is refused, with what to write now', () => {
    const message = fault({
      version: 1,
      ansible_config: 'ansible.cfg',
      build_arg_defaults: { EE_BASE_IMAGE: 'x' },
      additional_build_steps: { prepend: 'RUN true' },
    });
    expect(message).toContain('this is version 1; Gantry reads version 3');
    expect(message).toContain('build_arg_defaults.EE_BASE_IMAGE: write images.base_image.name');
    expect(message).toContain('additional_build_steps.prepend: write prepend_final');
    expect(message).toContain('ansible_config: name the file in additional_build_files');
    expect(fault({ dependencies: {} })).toContain('version 1, since it says none');
    expect(fault({ ...whole, version: 4 })).toContain('version: write 3');
    expect(fault(null)).toContain('the file: ');
  });
});

describe('the files of a definition', () => {
  it('are read where they are named, and may stand in the definition as well', () => {
    const named = load({
      'execution-environment.yml': `${head}dependencies: {galaxy: deps/galaxy.yml, python: python.txt, system: bindep.txt}\n`,
      'deps/galaxy.yml': 'collections:\n  - demo.tools:>=1.0.0\n',
      'python.txt': '# a comment\n-r more/a.txt\n\n',
      'more/a.txt': 'six>=1  # why\n--requirement=a.txt\n',
      'bindep.txt': 'git [platform:dpkg]\n',
    });
    const inline = load({
      'execution-environment.yml': `${head}dependencies:\n  galaxy: |\n    collections: [{name: demo.tools, version: ">=1.0.0"}]\n  python: [six>=1]\n  system: ["git [platform:dpkg]"]\n`,
    });
    expect(named.requirements).toEqual({ collections: [{ name: 'demo.tools', version: '>=1.0.0' }] });
    expect(inline.requirements).toEqual(named.requirements);
    expect([named.python, named.system]).toEqual([['six>=1'], ['git [platform:dpkg]']]);
    expect([inline.python, inline.system]).toEqual([named.python, named.system]);
  });

  it('are refused by the place in the definition, or in the file', () => {
    const galaxy = 'collections: [demo.tools, {name: demo.base}, {name: demo.more, version: 1.0}]';
    expect(() =>
      load({ 'execution-environment.yml': `${head}dependencies:\n  galaxy: {${galaxy}}\n` }),
    ).toThrow('dependencies.galaxy.collections[2].version: YAML reads this as a number: write it in quotes');
    expect(() =>
      load({
        'execution-environment.yml': `${head}dependencies: {galaxy: galaxy.yml}\n`,
        'galaxy.yml': `${galaxy}\n`,
      }),
    ).toThrow(/galaxy\.yml is not right:\n {2}collections\[2\]\.version/);
    expect(() => load({ 'execution-environment.yml': `${head}dependencies: {python: none.txt}\n` })).toThrow(
      /dependencies\.python: .*none\.txt cannot be read \(ENOENT\)/,
    );
    expect(() =>
      load({ 'execution-environment.yml': `${head}dependencies: {system: [git, "[platform:dpkg] git"]}\n` }),
    ).toThrow('dependencies.system[1]: "[platform:dpkg] git" is not a line of bindep');
    expect(() =>
      load({ 'execution-environment.yml': `${head}additional_build_files: [{src: "*.cfg", dest: etc}]\n` }),
    ).toThrow('additional_build_files[0].src: there is no *.cfg');
    expect(() => load({ 'execution-environment.yml': 'a: [' })).toThrow('is not YAML');
  });

  it('make the hash, part by part: comments, order and tags do not', () => {
    const one = load({ 'execution-environment.yml': `${head}options: {user: "1000", workdir: /runner}\n` });
    const same = load({
      'execution-environment.yml': `# other words\noptions: {workdir: /runner, user: "1000", tags: ["x"]}\n${head}`,
    });
    const other = load({ 'execution-environment.yml': `${head}options: {user: "1001", workdir: /runner}\n` });
    expect(same.sha256).toBe(one.sha256);
    expect(Object.keys(one.parts).filter((part) => one.parts[part] !== other.parts[part])).toEqual([
      'options.user',
    ]);
  });
});
