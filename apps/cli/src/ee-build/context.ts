/** The build context: a folder with the Containerfile and, below `_build`, all that it copies. */
import { copyFileSync, cpSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PlatformError } from '@gantry/contracts/errors';
import { ROOT } from '../home.js';
import { containerfileOf, type Recipe } from './containerfile.js';
import type { Definition } from './load.js';
import { lockFiles, type Lock } from './lock.js';

/** Folders of packages for a build without an index. */
export interface Folders {
  wheels?: string;
  collections?: string;
}

const scripts = join(ROOT, 'apps', 'cli', 'src', 'ee-build', 'scripts');

/** The files with one of these endings in a folder. Throws `invalid` if there is none. */
const filesIn = (folder: string, option: string, endings: readonly string[]): string[] => {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw new PlatformError('invalid', `${option}: ${folder} is not a folder.`);
  const names = readdirSync(folder).filter((name) => endings.some((ending) => name.endsWith(ending)));
  if (names.length === 0)
    throw new PlatformError(
      'invalid',
      `${option}: ${folder} holds no file ending in ${endings.join(' or ')}.`,
    );
  return names.sort().map((name) => join(folder, name));
};

/** Writes the context into an empty folder. Throws `invalid` for a folder of packages that holds none. */
export const writeContext = (
  folder: string,
  definition: Definition,
  recipe: Recipe,
  folders: Folders,
  lock: Lock | null,
): void => {
  const build = join(folder, '_build');
  const put = (name: string, text: string): void => {
    mkdirSync(dirname(join(build, name)), { recursive: true });
    writeFileSync(join(build, name), text, { mode: 0o644 });
  };
  const copy = (files: readonly string[], below: string): void => {
    mkdirSync(join(build, below), { recursive: true });
    for (const file of files) copyFileSync(file, join(build, below, file.split('/').at(-1)!));
  };
  const { dependencies, options } = definition.written;
  const init = options.container_init.package_pip;
  const exclude = dependencies.exclude ?? { python: [], system: [], all_from_collections: [] };
  copy(filesIn(scripts, 'Gantry', ['.sh', '.py']), 'scripts');
  put(
    'requirements.txt',
    [...definition.python, ...(init === undefined ? [] : [init])].map((line) => `${line}\n`).join(''),
  );
  put('bindep.txt', definition.system.map((line) => `${line}\n`).join(''));
  put('exclude.json', JSON.stringify(exclude));
  // JSON is YAML.
  if (definition.requirements) put('requirements.yml', JSON.stringify(definition.requirements));
  if (folders.wheels) copy(filesIn(folders.wheels, '--wheels', ['.whl', '.tar.gz']), 'wheelhouse');
  if (folders.collections) copy(filesIn(folders.collections, '--collections', ['.tar.gz']), 'galaxy');
  if (lock) for (const [name, text] of Object.entries(lockFiles(lock))) put(`lock/${name}`, text);
  for (const { source, target } of definition.files)
    cpSync(source, join(build, target), { recursive: true, verbatimSymlinks: true });
  writeFileSync(join(folder, 'Containerfile'), containerfileOf(definition, recipe), { mode: 0o644 });
};
