/**
 * The Containerfile of a definition: ansible-builder's four stages (base, galaxy, builder, final), with scripts of ours in them.
 * Only what every builder understands (no mounts, no here-documents): Docker's Engine API builds with its old one.
 */
import type { Definition } from './load.js';
import type { stepNames } from './definition.js';

/** How packages are found, besides the indexes that pip and ansible-galaxy know by themselves. */
export interface Sources {
  /** pip's index. */
  indexUrl?: string;
  /** There is a folder of wheels in the context, and no index unless one is named. */
  wheels: boolean;
  /** Galaxy's address. */
  galaxyServer?: string;
}

/** What a Containerfile is made of, besides the definition. */
export interface Recipe {
  /** Where the build begins, by digest or id. */
  base: string;
  /** Its name in the definition and its digest: labels of the result. */
  baseName: string;
  baseDigest: string;
  sources: Sources;
  /** The context holds a lock. */
  locked: boolean;
}

const quote = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;
const packages = 'sh /output/scripts/packages.sh';
const builder = '"$PYCMD" /output/scripts/builder.py';

/** The values every stage may use; empty ones are left out. */
const argumentsOf = ({ written }: Definition, { base, sources }: Recipe): [string, string][] =>
  Object.entries({
    EE_BASE_IMAGE: base,
    PYCMD: written.dependencies.python_interpreter.python_path ?? '/usr/bin/python3',
    PKGMGR: written.options.package_manager_path,
    PKGMGR_PRESERVE_CACHE: written.build_arg_defaults.PKGMGR_PRESERVE_CACHE,
    ANSIBLE_GALAXY_CLI_COLLECTION_OPTS: written.build_arg_defaults.ANSIBLE_GALAXY_CLI_COLLECTION_OPTS,
    ANSIBLE_GALAXY_CLI_ROLE_OPTS: written.build_arg_defaults.ANSIBLE_GALAXY_CLI_ROLE_OPTS,
    PIP_INDEX_URL: sources.indexUrl,
    PIP_NO_INDEX: sources.wheels && sources.indexUrl === undefined ? '1' : undefined,
    ANSIBLE_GALAXY_SERVER: sources.galaxyServer,
  }).filter((pair): pair is [string, string] => Boolean(pair[1]));

/** Does the build need the stage that resolves what is needed? */
const needsBuilder = ({ written, requirements, python, system }: Definition): boolean =>
  requirements !== null ||
  python.length > 0 ||
  system.length > 0 ||
  written.options.container_init.package_pip !== undefined ||
  written.additional_build_steps.prepend_builder !== undefined ||
  written.additional_build_steps.append_builder !== undefined;

/** The text of the Containerfile. */
export const containerfileOf = (definition: Definition, recipe: Recipe): string => {
  const { written, requirements } = definition;
  const values = argumentsOf(definition, recipe);
  const declared = values.filter(([name]) => name !== 'EE_BASE_IMAGE').map(([name]) => `ARG ${name}`);
  const steps = (name: (typeof stepNames)[number]): string[] => written.additional_build_steps[name] ?? [];
  const stage = (from: string, name: string): string[] => [
    '',
    `FROM ${from} AS ${name}`,
    'USER root',
    ...declared,
  ];
  const withBuilder = needsBuilder(definition);
  return [
    `# Made by \`gantry ee build\` from ${definition.file.split('/').at(-1)}: change that file, not this one.`,
    ...values.map(([name, value]) => `ARG ${name}=${JSON.stringify(value)}`),
    ...stage('$EE_BASE_IMAGE', 'base'),
    ...baseSteps(definition, recipe, steps),
    ...(requirements === null
      ? []
      : [
          ...stage('base', 'galaxy'),
          ...steps('prepend_galaxy'),
          'COPY _build/ /build/',
          'WORKDIR /build',
          `RUN ${builder} galaxy`,
          ...steps('append_galaxy'),
        ]),
    ...(withBuilder
      ? [
          ...stage('base', 'builder'),
          'WORKDIR /build',
          ...steps('prepend_builder'),
          ...(requirements === null
            ? []
            : [
                'COPY --from=galaxy /usr/share/ansible/ /usr/share/ansible/',
                'COPY --from=galaxy /output/notes/ /output/notes/',
              ]),
          'COPY _build/requirements.txt _build/bindep.txt _build/exclude.json /build/',
          `RUN ${builder} introspect`,
          ...steps('append_builder'),
        ]
      : []),
    ...stage('base', 'final'),
    ...steps('prepend_final'),
    ...(requirements === null ? [] : ['COPY --from=galaxy /usr/share/ansible/ /usr/share/ansible/']),
    ...(withBuilder ? ['COPY --from=builder /output/ /output/', `RUN ${builder} assemble`] : []),
    ...(written.options.skip_ansible_check ? [] : [`RUN ${builder} check`]),
    ...steps('append_final'),
    ...endSteps(definition, recipe),
    '',
  ].join('\n');
};

const baseSteps = (
  { written }: Definition,
  { locked, sources }: Recipe,
  steps: (name: 'prepend_base' | 'append_base') => string[],
): string[] => {
  const { ansible_core: core, ansible_runner: runner, python_interpreter: python } = written.dependencies;
  const system = [python.package_system, core?.package_system, runner?.package_system].filter(
    Boolean,
  ) as string[];
  const pip = [core?.package_pip, runner?.package_pip].filter(Boolean) as string[];
  return [
    'COPY _build/scripts/ /output/scripts/',
    `RUN ${packages} begin`,
    ...steps('prepend_base'),
    ...(locked ? ['COPY _build/lock/ /output/lock/', `RUN ${packages} lock`] : []),
    ...(system.length > 0 ? [`RUN ${packages} install ${system.map(quote).join(' ')}`] : []),
    `RUN ${packages} ensure-python`,
    ...(sources.wheels ? ['COPY _build/wheelhouse/ /output/wheelhouse/'] : []),
    ...(pip.length > 0 ? [`RUN ${builder} base ${pip.map(quote).join(' ')}`] : []),
    ...steps('append_base'),
  ];
};

const endSteps = (definition: Definition, { baseName, baseDigest }: Recipe): string[] => {
  const { options } = definition.written;
  const { cmd, entrypoint } = options.container_init;
  const labels = {
    'ansible-execution-environment': 'true',
    'org.opencontainers.image.base.name': baseName,
    'org.opencontainers.image.base.digest': baseDigest,
    'dev.gantry.definition': `sha256:${definition.sha256}`,
  };
  return [
    `RUN ${builder} record && ${builder} user ${[options.user, options.workdir, String(options.relax_passwd_permissions)].map(quote).join(' ')} && rm -rf /output /build /etc/apt/preferences.d/gantry-lock`,
    `LABEL ${Object.entries(labels)
      .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
      .join(' ')}`,
    `WORKDIR ${options.workdir}`,
    `USER ${options.user}`,
    // An entrypoint of the base image would go before the command of a pod.
    `ENTRYPOINT ${entrypoint ?? '[]'}`,
    `CMD ${cmd ?? '["bash"]'}`,
  ];
};
