import { describe, expect, it } from 'vitest';
import { stepOf } from './build-image.js';
import { containerfileOf, type Recipe } from './containerfile.js';
import { readDefinition } from './definition.js';
import type { Definition } from './load.js';

const recipe: Recipe = {
  base: 'registry.example/base@sha256:00',
  baseName: 'registry.example/base:1',
  baseDigest: 'sha256:00',
  sources: { wheels: false },
  locked: false,
};
const definition = (more: object, loaded: Partial<Definition> = {}): Definition => ({
  file: '/x/execution-environment.yml',
  written: readDefinition(
    { version: 3, images: { base_image: { name: 'registry.example/base:1' } }, ...more },
    'ee.yml',
  ),
  requirements: null,
  python: [],
  system: [],
  files: [],
  parts: {},
  sha256: 'ff',
  ...loaded,
});
const lines = (more: object, loaded: Partial<Definition> = {}, other: Partial<Recipe> = {}): string[] =>
  containerfileOf(definition(more, loaded), { ...recipe, ...other }).split('\n');
const stages = (text: string[]): string[] => text.filter((line) => line.startsWith('FROM'));

describe('a Containerfile', () => {
  it('begins with the base image by digest and has only the stages that are needed', () => {
    const text = lines({});
    expect(text).toContain('ARG EE_BASE_IMAGE="registry.example/base@sha256:00"');
    expect(stages(text)).toEqual(['FROM $EE_BASE_IMAGE AS base', 'FROM base AS final']);
    expect(stages(lines({}, { system: ['git'] }))).toContain('FROM base AS builder');
    expect(stages(lines({}, { requirements: { collections: [] } }))).toEqual([
      'FROM $EE_BASE_IMAGE AS base',
      'FROM base AS galaxy',
      'FROM base AS builder',
      'FROM base AS final',
    ]);
  });

  it('has the steps of the definition where it says', () => {
    const names = ['base', 'galaxy', 'builder', 'final'];
    const steps = Object.fromEntries(
      names.flatMap((name) => [
        [`prepend_${name}`, `RUN echo before ${name}`],
        [`append_${name}`, [`RUN echo after ${name}`]],
      ]),
    );
    const text = lines({ additional_build_steps: steps }, { requirements: { collections: [] } });
    expect(text.filter((line) => /^FROM|echo (before|after)/.test(line))).toEqual(
      names.flatMap((name) => [
        `FROM ${name === 'base' ? '$EE_BASE_IMAGE' : 'base'} AS ${name}`,
        `RUN echo before ${name}`,
        `RUN echo after ${name}`,
      ]),
    );
  });

  it("quotes what is the definition's, so that it stays one word", () => {
    const text = lines({
      dependencies: {
        ansible_core: { package_pip: "ansible-core>=2.16; echo 'x'" },
        ansible_runner: { package_system: 'python3-ansible-runner' },
      },
    });
    expect(text).toContain(
      `RUN "$PYCMD" /output/scripts/builder.py base 'ansible-core>=2.16; echo '\\''x'\\'''`,
    );
    expect(text).toContain("RUN sh /output/scripts/packages.sh install 'python3-ansible-runner'");
  });

  it('knows where packages come from, and the lock', () => {
    const text = lines(
      {},
      {},
      { sources: { wheels: true, galaxyServer: 'http://hub.example/' }, locked: true },
    );
    expect(text).toContain('ARG PIP_NO_INDEX="1"');
    expect(text).toContain('ARG ANSIBLE_GALAXY_SERVER="http://hub.example/"');
    expect(text).toContain('COPY _build/lock/ /output/lock/');
    expect(
      lines({}, {}, { sources: { wheels: true, indexUrl: 'http://pypi.example/' } }).join('\n'),
    ).not.toContain('NO_INDEX');
  });

  it('ends with the options', () => {
    const text = lines({
      options: {
        user: 'bob',
        workdir: '/work',
        container_init: { entrypoint: '["dumb-init"]' },
        skip_ansible_check: true,
      },
    });
    expect(text.slice(-5)).toEqual([
      'WORKDIR /work',
      'USER bob',
      'ENTRYPOINT ["dumb-init"]',
      'CMD ["bash"]',
      '',
    ]);
    expect(text.join('\n')).not.toContain('builder.py check');
    expect(text.at(-6)).toContain('dev.gantry.definition="sha256:ff"');
  });
});

describe('the output of a build', () => {
  it("has steps, in Podman's words and in Docker's", () => {
    expect(stepOf('[2/3] STEP 4/7: RUN true')).toEqual({ number: '2/3 4/7', instruction: 'RUN true' });
    expect(stepOf('STEP 1/7: FROM x')).toEqual({ number: '1/7', instruction: 'FROM x' });
    expect(stepOf('Step 4/7 : RUN true')).toEqual({ number: '4/7', instruction: 'RUN true' });
    expect(stepOf(' ---> 1234')).toBeNull();
  });
});
