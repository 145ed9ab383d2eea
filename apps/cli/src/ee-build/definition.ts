/**
 * The definition of an execution environment: ansible-builder's schema, version 3.
 * Source: https://docs.ansible.com/projects/builder/en/latest/definition/. Beyond it: `package_system` beside `package_pip`, and
 * apt-get as package manager (ADR 0022).
 */
import { PlatformError } from '@gantry/contracts/errors';
import { z } from 'zod';

/** The places where steps of one's own go, in the order of the build. */
export const stepNames = [
  'prepend_base',
  'append_base',
  'prepend_galaxy',
  'append_galaxy',
  'prepend_builder',
  'append_builder',
  'prepend_final',
  'append_final',
] as const;

/** A string of lines, or a list of them. */
const Lines = z.preprocess(
  (value) => (typeof value === 'string' ? value.replace(/\n+$/, '').split('\n') : value),
  z.array(z.string(), 'write a string or a list of strings'),
);

/** A file's name, or the lines themselves: a list, or a string of more than one line. */
const FileOrLines = z.preprocess(
  (value) => (typeof value === 'string' && /\n./.test(value) ? value.trimEnd().split('\n') : value),
  z.unknown().transform((value, context): string | string[] => {
    const read = z.array(z.string()).safeParse(value);
    if (read.success) return read.data;
    if (typeof value === 'string' && value.trim() !== '') return value.trim();
    if (Array.isArray(value)) for (const issue of read.error.issues) context.addIssue({ ...issue });
    else context.addIssue({ code: 'custom', message: 'write the name of a file, or a list of requirements' });
    return [];
  }),
);

const Package = z
  .strictObject({ package_pip: z.string().min(1).optional(), package_system: z.string().min(1).optional() })
  .refine(
    (value) => (value.package_pip === undefined) !== (value.package_system === undefined),
    'name either package_pip (what pip shall install) or package_system (what the package manager shall)',
  );

/** `ns.name`, as Galaxy has them. */
const collectionName = /^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$/;
const version = z.string({
  error: (issue) =>
    typeof issue.input === 'number' ? 'YAML reads this as a number: write it in quotes' : 'write a string',
});
const Collection = z
  .strictObject({
    name: z.string().min(1),
    version: version.optional(),
    source: z.string().optional(),
    type: z.enum(['galaxy', 'url', 'file', 'git', 'dir', 'subdirs']).optional(),
    signatures: z.array(z.string()).optional(),
  })
  .refine((value) => (value.type ?? 'galaxy') !== 'galaxy' || nameFits(value.name, value.type), {
    path: ['name'],
    message: 'a collection is named namespace.name, such as community.general',
  });
/** Without a type, ansible-galaxy takes a path, an address or a git repository for one too. */
const nameFits = (name: string, type: string | undefined): boolean =>
  collectionName.test(name) || (type === undefined && /[/:@]|\.tar\.gz$/.test(name));
const Role = z
  .strictObject({
    name: z.string().optional(),
    src: z.string().optional(),
    version: version.optional(),
    scm: z.string().optional(),
    include: z.string().optional(),
  })
  .refine((role) => role.name ?? role.src ?? role.include, 'a role needs a name or a src');

/** A string stands for an object with that name: `ns.name` or `ns.name:version`. */
const named = (value: unknown): unknown => {
  if (typeof value !== 'string') return value;
  const [, name, range] = /^([^:/]+\.[^:/]+):([^/].*)$/.exec(value) ?? [];
  return name === undefined ? { name: value } : { name, version: range };
};

/** ansible-galaxy's requirements, in its newer form. */
export const Requirements = z.strictObject({
  collections: z.array(z.preprocess(named, Collection)).nullish(),
  roles: z
    .array(z.preprocess((value) => (typeof value === 'string' ? { name: value } : value), Role))
    .nullish(),
});
/** ansible-galaxy's requirements, in its newer form. */
export type Requirements = z.output<typeof Requirements>;

/** A literal of the Containerfile: a JSON array, or a shell's line. */
const Literal = z.preprocess(
  (value) => (Array.isArray(value) ? JSON.stringify(value) : value),
  z.string().regex(/^[^\n]*$/, 'write it in one line'),
);

/** What the build puts below `_build` itself. */
const ours = new Set(['scripts', 'lock', 'wheelhouse', 'galaxy']);

/** The file as it is written, `dependencies.galaxy` unread: it may be the name of another file. */
export const DefinitionFile = z.strictObject({
  version: z.literal(3),
  images: z.strictObject({
    base_image: z.strictObject({
      name: z.string().min(1),
      signature_original_name: z.string().optional(),
    }),
  }),
  build_arg_defaults: z
    .strictObject({
      ANSIBLE_GALAXY_CLI_COLLECTION_OPTS: z.string().optional(),
      ANSIBLE_GALAXY_CLI_ROLE_OPTS: z.string().optional(),
      PKGMGR_PRESERVE_CACHE: z.string().optional(),
    })
    .default({}),
  dependencies: z
    .strictObject({
      ansible_core: Package.optional(),
      ansible_runner: Package.optional(),
      galaxy: z.unknown().optional(),
      python: FileOrLines.default([]),
      python_interpreter: z
        .strictObject({
          package_system: z.string().min(1).optional(),
          python_path: z.string().startsWith('/', 'write the whole path').optional(),
        })
        .default({}),
      system: FileOrLines.default([]),
      exclude: z
        .strictObject({
          python: z.array(z.string()).default([]),
          system: z.array(z.string()).default([]),
          all_from_collections: z.array(z.string()).default([]),
        })
        .optional(),
    })
    .default({ python: [], python_interpreter: {}, system: [] }),
  additional_build_files: z
    .array(
      z.strictObject({
        src: z.string().min(1),
        dest: z
          .string()
          .refine(
            (value) => !value.startsWith('/') && !value.split('/').includes('..'),
            'the destination lies below _build: no absolute path and no ..',
          )
          .refine(
            (value) => !ours.has(value.split('/')[0]!),
            'this folder is used by the build: choose another',
          ),
      }),
    )
    .default([]),
  additional_build_steps: z
    .strictObject(
      Object.fromEntries(stepNames.map((name) => [name, Lines.optional()])) as Record<
        (typeof stepNames)[number],
        z.ZodOptional<typeof Lines>
      >,
    )
    .default({}),
  options: z
    .strictObject({
      container_init: z
        .strictObject({
          cmd: Literal.optional(),
          entrypoint: Literal.optional(),
          package_pip: z.string().optional(),
        })
        .default({ cmd: '["bash"]' }),
      package_manager_path: z
        .string()
        .regex(
          /^\/.*\/(apt-get|apt|dnf|dnf5|microdnf|yum)$/,
          'the whole path of apt-get, dnf, microdnf or yum',
        )
        .default('/usr/bin/dnf'),
      skip_ansible_check: z.boolean().default(false),
      relax_passwd_permissions: z.boolean().default(true),
      workdir: z.string().startsWith('/', 'write the whole path').default('/runner'),
      user: z
        .union([z.string().min(1), z.number().int().nonnegative()])
        .transform(String)
        .default('1000'),
      tags: z.array(z.string().min(1)).default([]),
    })
    .prefault({}),
});
/** The file as it is written, with defaults filled in. */
export type DefinitionFile = z.output<typeof DefinitionFile>;

/** What people wrote in versions 1 and 2, or write by mistake, and what to write now. */
const moved: Record<string, string> = {
  ansible_config:
    'name the file in additional_build_files and add it in additional_build_steps.prepend_galaxy: ADD _build/configs/ansible.cfg /etc/ansible/ansible.cfg',
  'images.builder_image':
    'version 3 builds on the base image alone: use additional_build_steps.prepend_builder',
  'build_arg_defaults.EE_BASE_IMAGE': 'write images.base_image.name',
  'build_arg_defaults.EE_BUILDER_IMAGE':
    'version 3 builds on the base image alone: use additional_build_steps.prepend_builder',
  'additional_build_steps.prepend': 'write prepend_final',
  'additional_build_steps.append': 'write append_final',
  'options.relax_password_permissions': 'write relax_passwd_permissions',
};

/** A place in the file as people write it: `dependencies.galaxy.collections[2].version`. */
const placeOf = (path: readonly PropertyKey[]): string =>
  path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '');

/** One line for each thing that is wrong, each with its place. */
const linesOf = (issues: readonly z.core.$ZodIssue[], prefix: readonly PropertyKey[]): string[] =>
  issues.flatMap((issue) => {
    const place = placeOf([...prefix, ...issue.path]);
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => {
        const whole = place === '' ? key : `${place}.${key}`;
        return `${whole}: there is no such key${moved[whole] ? ` in version 3: ${moved[whole]}` : ''}`;
      });
    const missing = issue.code === 'invalid_type' && 'input' in issue && issue.input === undefined;
    return [`${place === '' ? 'the file' : place}: ${missing ? 'is missing' : issue.message}`];
  });

/** Reads with a schema. Throws `invalid` with every fault, one a line, each with its place below `prefix`. */
export const readWith = <S extends z.ZodType>(
  schema: S,
  value: unknown,
  file: string,
  prefix: readonly PropertyKey[] = [],
): z.output<S> => {
  const read = schema.safeParse(value, { reportInput: true });
  if (read.success) return read.data;
  const lines = linesOf(read.error.issues, prefix);
  throw new PlatformError(
    'invalid',
    `${file} is not right:\n${lines.map((line) => `  ${line}`).join('\n')}`,
    {
      details: { reason: 'definition_invalid', faults: lines },
    },
  );
};

/** Reads a definition. Throws `invalid`: all faults by their place; of a file of version 1 or 2, what to change. */
export const readDefinition = (value: unknown, file: string): DefinitionFile => {
  const given = (value as { version?: unknown } | null)?.version;
  if (value !== null && typeof value === 'object' && !Array.isArray(value) && given !== 3) {
    const old = given === undefined || given === 1 || given === 2 || given === '1' || given === '2';
    const hints = old ? oldKeys(value as Record<string, unknown>) : [];
    throw new PlatformError(
      'invalid',
      `${file} is not right:\n  version: ${
        old
          ? `this is ${given === undefined ? 'version 1, since it says none' : `version ${String(given)}`}; Gantry reads version 3. Write "version: 3"${hints.length > 0 ? ', and:' : '.'}`
          : 'write 3, the one that Gantry reads'
      }${hints.map((hint) => `\n  ${hint}`).join('')}`,
      { details: { reason: 'definition_version' } },
    );
  }
  return readWith(DefinitionFile, value, file);
};

const oldKeys = (value: Record<string, unknown>): string[] =>
  Object.entries(moved).flatMap(([place, hint]) => {
    const [first, second] = place.split('.') as [string, string?];
    const below = value[first];
    const there =
      second === undefined ? first in value : below !== null && typeof below === 'object' && second in below;
    return there ? [`${place}: ${hint}`] : [];
  });
