/** A definition with all the files it names, read once: what is built is what was read. */
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { PlatformError } from '@gantry/contracts/errors';
import { parse as parseYaml } from 'yaml';
import { readDefinition, readWith, Requirements, type DefinitionFile } from './definition.js';

/** A file or folder for the build context. */
export interface BuildFile {
  /** Absolute. */
  source: string;
  /** Below `_build`. */
  target: string;
}

/** A definition, ready to be built. */
export interface Definition {
  /** As it was named. */
  file: string;
  written: DefinitionFile;
  requirements: Requirements | null;
  python: string[];
  /** In bindep's format. */
  system: string[];
  files: BuildFile[];
  /** SHA-256 of each part, by its place in the file, or `file <path>`: tells what differs from what was locked. */
  parts: Record<string, string>;
  /** SHA-256 of them all. */
  sha256: string;
}

const hex = (value: string | Buffer): string => createHash('sha256').update(value).digest('hex');

/** JSON with sorted keys: the same for the same value, whatever the YAML looked like. */
export const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  ) ?? 'null';

const read = (file: string, place: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new PlatformError(
      'invalid',
      `${place}: ${file} cannot be read (${(error as NodeJS.ErrnoException).code}).`,
    );
  }
};

const yaml = (text: string, file: string): unknown => {
  try {
    return parseYaml(text, { maxAliasCount: 20 });
  } catch (error) {
    throw new PlatformError('invalid', `${file} is not YAML: ${(error as Error).message.split('\n')[0]}`);
  }
};

/** Lines without comments and blanks. */
const meaningful = (lines: readonly string[]): string[] =>
  lines.map((line) => line.replace(/(^|\s)#.*$/, '').trim()).filter((line) => line !== '');

/**
 * A line of bindep: a name, profiles in brackets, versions. Which lines count is decided in the image, where the
 * platform is known; that they can be read is checked here.
 */
const bindepLine =
  /^[A-Za-z0-9][\w.+:-]*(\s+\[[^\][]*\])?(\s+(==|<=?|>=?|!=)[^\s,]+(,\s*(==|<=?|>=?|!=)[^\s,]+)*)?$/;

const readSystem = (lines: string[], place: string): string[] => {
  for (const [index, line] of lines.entries())
    if (!bindepLine.test(line))
      throw new PlatformError(
        'invalid',
        `${place}[${index}]: ${JSON.stringify(line)} is not a line of bindep: write a package, then profiles in brackets, then versions: git [platform:dpkg] >=2`,
      );
  return lines;
};

/** Reads a definition and what it names. Throws `invalid` with the place of what is wrong. */
export const loadDefinition = (file: string): Definition => {
  const folder = dirname(resolve(file));
  const value = yaml(read(file, 'The definition'), file);
  const written = readDefinition(value, file);
  const { dependencies } = written;
  const named: Record<string, string> = {};
  const fileLines = (name: string, place: string): string[] => {
    const text = read(resolve(folder, name), place);
    named[`file ${name}`] = hex(text);
    return meaningful(text.split('\n'));
  };
  const lines = (given: string | string[], place: string): string[] =>
    typeof given === 'string' ? fileLines(given, place) : meaningful(given);
  // A file of requirements may include others, by paths of its own.
  const pythonLines = (given: string | string[]): string[] =>
    lines(given, 'dependencies.python').flatMap((line) => {
      const included = /^(?:-r|--requirement)[ =]\s*(.+)$/.exec(line)?.[1];
      if (included === undefined) return [line];
      const name = join(typeof given === 'string' ? dirname(given) : '.', included);
      if (`file ${name}` in named) return [];
      return pythonLines(name);
    });
  const requirements = (given: unknown): Requirements | null => {
    if (given === undefined || given === null) return null;
    const inline = typeof given !== 'string' || /\n/.test(given);
    const source = inline ? file : given;
    let content: unknown = given;
    if (typeof given === 'string') {
      const text = inline ? given : read(resolve(folder, given), 'dependencies.galaxy');
      if (!inline) named[`file ${given}`] = hex(text);
      content = yaml(text, source);
    }
    // The older form: a list of roles.
    if (Array.isArray(content)) content = { roles: content };
    return readWith(Requirements, content, source, inline ? ['dependencies', 'galaxy'] : []);
  };
  const files = written.additional_build_files.flatMap(({ src, dest }, index) =>
    find(folder, src, `additional_build_files[${index}].src`).map((source) => ({
      source,
      // The content of a folder goes to the destination, as a file does.
      target: statSync(source).isDirectory() ? dest : join(dest, basename(source)),
    })),
  );
  const loaded = {
    requirements: requirements(dependencies.galaxy),
    python: pythonLines(dependencies.python),
    system: readSystem(lines(dependencies.system, 'dependencies.system'), 'dependencies.system'),
  };
  const parts = {
    ...partsOf(value as Record<string, unknown>),
    ...named,
    ...Object.fromEntries(
      files.flatMap(({ source }) =>
        walk(source).map((path) => [
          `file ${isAbsolute(relative(folder, path)) ? path : relative(folder, path)}`,
          hashOf(path),
        ]),
      ),
    ),
  };
  return { file, written, ...loaded, files, parts, sha256: hex(canonical(parts)) };
};

/** What is written under each key of each section, so that a difference can be named. A tag is a name of the result, no part of it. */
const partsOf = (value: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(value).flatMap(([section, inner]) =>
      inner !== null && typeof inner === 'object' && !Array.isArray(inner)
        ? Object.entries(inner)
            .filter(([key]) => section !== 'options' || key !== 'tags')
            .map(([key, part]): [string, string] => [`${section}.${key}`, hex(canonical(part))])
        : [[section, hex(canonical(inner))] as [string, string]],
    ),
  );

/** The files a path names; `*` and `?` stand for parts of a name in a relative one. */
const find = (folder: string, src: string, place: string): string[] => {
  let found: string[];
  if (isAbsolute(src) || !/[*?]/.test(src)) found = [resolve(folder, src)].filter(exists);
  else
    found = src
      .split('/')
      .reduce<string[]>(
        (paths, segment) =>
          paths.flatMap((path) =>
            /[*?]/.test(segment)
              ? (exists(path) && statSync(path).isDirectory() ? readdirSync(path).sort() : [])
                  .filter((name) => patternOf(segment).test(name))
                  .map((name) => join(path, name))
              : [join(path, segment)].filter(exists),
          ),
        [folder],
      );
  if (found.length === 0) throw new PlatformError('invalid', `${place}: there is no ${src} in ${folder}.`);
  return found;
};

const patternOf = (segment: string): RegExp =>
  new RegExp(
    `^${segment
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replace(/\*/g, '.*')
      .replace(/\?/g, '.')}$`,
  );

const exists = (path: string): boolean => statSync(path, { throwIfNoEntry: false }) !== undefined;

/** Every file below a path, in order. */
export const walk = (path: string): string[] =>
  lstatSync(path).isDirectory()
    ? readdirSync(path)
        .sort()
        .flatMap((name) => walk(join(path, name)))
    : [path];

/** Of a link, where it points: it goes into the context as it is. */
const hashOf = (path: string): string =>
  hex(lstatSync(path).isSymbolicLink() ? `link ${readlinkSync(path)}` : readFileSync(path));
