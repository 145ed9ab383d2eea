/** `gantry ee build`: from an execution-environment.yml to an image, its lock file, its place in a registry and in Gantry. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PlatformError } from '@gantry/contracts/errors';
import { homePath, ROOT } from '../home.js';
import { exitCodes, paint, print, printJson, step } from '../terminal.js';
import { findBase, findLockedBase, type BaseImage } from './base-image.js';
import { buildImage, pushImage, readRecord, short, tagImage } from './build-image.js';
import type { Recipe } from './containerfile.js';
import { writeContext } from './context.js';
import { openEngine, type Engine } from './engine.js';
import { loadDefinition, type Definition } from './load.js';
import {
  demandSameDefinition,
  differences,
  readLock,
  writeLock,
  type BuildRecord,
  type Lock,
} from './lock.js';
import { prepareRegistration } from './register.js';
import { hostOf, repositoryOf, type RegistryAuth } from './registry-auth.js';

/** Options of the command, as commander gives them. */
export interface BuildOptions {
  tag?: string[];
  lock?: string;
  fromLock?: boolean;
  push?: boolean;
  username?: string;
  passwordStdin?: boolean;
  register?: string;
  organization?: string;
  credential?: string;
  context?: string;
  wheels?: string;
  collections?: string;
  indexUrl?: string;
  galaxyServer?: string;
  cache?: boolean;
  pull?: boolean;
  verbose?: boolean;
  json?: boolean;
}

/** What was done; `--json` prints it. */
export interface BuildResult {
  image: string;
  tags: string[];
  lockFile: string;
  base: Lock['base'];
  /** The reference by digest, once pushed. */
  pushed: string | null;
  registered: {
    id: string;
    name: string;
    image: string;
    done: 'registered' | 'changed' | 'unchanged';
  } | null;
}

const DEFAULT_TAG = 'localhost/ansible-execution-env:latest';
const names = ['execution-environment.yml', 'execution-environment.yaml'];

/** registry/repository:tag */
const name = /^(?:[A-Za-z0-9.-]+(?::\d+)?\/)?[a-z0-9]+(?:(?:\.|__?|-+|\/)[a-z0-9]+)*(?::\w[\w.-]{0,127})?$/;

/** The definition that is meant: the file named, or the one in the folder. Throws `invalid` if there is none. */
const definitionFile = (given: string | undefined): string => {
  const folder = given === undefined ? '.' : given;
  if (given !== undefined && statSync(given, { throwIfNoEntry: false })?.isDirectory() !== true) return given;
  const found = names.map((one) => join(folder, one)).find((file) => existsSync(file));
  if (found) return found;
  throw new PlatformError('invalid', `There is no ${names[0]} in ${folder}: name the definition.`);
};

/** Everything that can be known wrong before anything is built. Throws `invalid`. */
const demandSense = (options: BuildOptions, tags: readonly string[]): void => {
  const say = (sentence: string): never => {
    throw new PlatformError('invalid', sentence);
  };
  for (const tag of tags)
    if (!name.test(tag))
      say(
        `The name ${JSON.stringify(tag)} is not one for an image: registry/repository:tag, the repository in lower case, without a digest.`,
      );
  for (const [option, url] of [
    ['--index-url', options.indexUrl],
    ['--galaxy-server', options.galaxyServer],
  ] as const)
    if (url !== undefined && (!URL.canParse(url) || new URL(url).username !== ''))
      say(
        `${option}: give an address without a user in it: it stays readable in the image's history. A login belongs into a pip.conf or ansible.cfg (additional_build_files).`,
      );
  if (options.register !== undefined && !options.push)
    say('--register pins the digest that a registry has: add --push.');
  if ((options.organization ?? options.credential) !== undefined && options.register === undefined)
    say('--organization and --credential say what --register registers: add --register NAME.');
  if ((options.username !== undefined) !== Boolean(options.passwordStdin))
    say('--username and --password-stdin go together.');
  if (options.push && (hostOf(tags[0]!) === 'localhost' || tags[0] === DEFAULT_TAG))
    say('--push needs a --tag with the name of a registry: registry.example/team/ee:1');
};

const gantryVersion = (): string =>
  (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version;

/** Steps of which each lasts until the next one begins. */
const createProgress = () => {
  let end: ((error?: Error) => void) | null = null;
  let shown: Promise<void> = Promise.resolve();
  return {
    next: (name: string): void => {
      end?.();
      // Several may begin at once when an earlier build is found again: each is told of its end, whether it is shown yet or not.
      const over = new Promise<void>((resolve, reject) => {
        end = (error) => (error ? reject(error) : resolve());
      });
      over.catch(() => undefined);
      shown = shown.then(() => step(name, () => over)).catch(() => undefined);
    },
    stop: async (error?: Error): Promise<void> => {
      end?.(error);
      await shown;
    },
  };
};

const build = async (engine: Engine, folder: string, options: BuildOptions): Promise<string> => {
  const progress = createProgress();
  try {
    const id = await buildImage(engine, {
      folder,
      log: homePath('log', 'ee-build.log'),
      noCache: options.cache === false,
      onStep: ({ number, instruction }) => {
        // The others only note something, in no time.
        if (/^(RUN|COPY|ADD|FROM) /i.test(instruction)) progress.next(`${number} ${short(instruction)}`);
      },
      onLine: (line) => (options.verbose ? process.stderr.write(`      ${line}\n`) : undefined),
    });
    await progress.stop();
    return id;
  } catch (error) {
    await progress.stop(error as Error);
    throw error;
  }
};

/** A folder for the context: the one named, which must be empty or one of ours, else a temporary one. */
const contextFolder = (named: string | undefined): string => {
  if (named === undefined) return mkdtempSync(join(tmpdir(), 'gantry-ee-build-'));
  mkdirSync(named, { recursive: true });
  const there = readdirSync(named).filter((name) => name !== 'Containerfile' && name !== '_build');
  if (there.length > 0)
    throw new PlatformError(
      'invalid',
      `--context: ${named} holds other files (${there[0]}): name an empty folder.`,
    );
  for (const name of ['Containerfile', '_build']) rmSync(join(named, name), { recursive: true, force: true });
  return named;
};

/** From a definition to an image with a record of what is in it. Nothing is tagged yet. */
const buildDefinition = async (
  engine: Engine,
  definition: Definition,
  locked: Lock | null,
  options: BuildOptions,
): Promise<{ image: string; lock: Lock; record: BuildRecord }> => {
  let base!: BaseImage;
  await step(`base image ${definition.written.images.base_image.name}`, async () => {
    base = locked
      ? await findLockedBase(engine.docker, locked)
      : await findBase(engine.docker, definition.written.images.base_image.name, Boolean(options.pull));
  });
  const recipe: Recipe = {
    base: base.reference,
    baseName: base.lock.name,
    baseDigest: base.lock.digest,
    locked: locked !== null,
    sources: {
      wheels: options.wheels !== undefined,
      ...(options.indexUrl ? { indexUrl: options.indexUrl } : {}),
      ...(options.galaxyServer ? { galaxyServer: options.galaxyServer } : {}),
    },
  };
  const folder = contextFolder(options.context);
  const clean = (): void => {
    if (options.context === undefined) rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', clean);
  try {
    writeContext(folder, definition, recipe, options, locked);
    const image = await build(engine, folder, options);
    const record = await readRecord(engine.docker, image);
    const lock: Lock = {
      version: 1,
      definition: { sha256: definition.sha256, parts: definition.parts },
      base: base.lock,
      platform: base.platform,
      ...record,
      tools: { ...record.tools, engine: engine.name, gantry: gantryVersion() },
    };
    return { image, record, lock };
  } finally {
    process.off('exit', clean);
    clean();
  }
};

/** Refuses an image that is not what its lock says; it keeps no name. */
const demandSameContents = (locked: Lock, record: BuildRecord, image: string): void => {
  const found = differences(locked, record);
  if (found.length > 0)
    throw new PlatformError(
      'refused',
      `What was built is not what the lock says, so it got no tag (${image}):\n${found.map((line) => `  ${line}`).join('\n')}`,
      { details: { reason: 'lock_differs', differences: found } },
    );
};

const loginOf = (options: BuildOptions, tag: string): RegistryAuth | undefined =>
  options.username === undefined
    ? undefined
    : {
        username: options.username,
        password: readFileSync(0, 'utf8').replace(/\r?\n$/, ''),
        serveraddress: hostOf(tag),
      };

/** The command. */
export const buildCommand = async (given: string | undefined, options: BuildOptions): Promise<number> => {
  const result = await buildEnvironment(given, options, options.json ? () => undefined : print);
  if (options.json) printJson(result);
  return exitCodes.ok;
};

/**
 * Builds, locks, pushes and registers, as far as the options say; `say` gets what was done, a line at a time. Throws `invalid` for a
 * definition, lock file or option that is not right, `refused` for what cannot be built, pushed or registered, `unavailable` without
 * an engine.
 */
export const buildEnvironment = async (
  given: string | undefined,
  options: BuildOptions,
  say: (line: string) => void,
): Promise<BuildResult> => {
  const file = definitionFile(given);
  const definition = loadDefinition(file);
  const configured = definition.written.options.tags;
  const tags = options.tag?.length ? options.tag : configured.length > 0 ? configured : [DEFAULT_TAG];
  demandSense(options, tags);
  const lockFile = options.lock ?? file.replace(/(\.ya?ml)?$/, '.lock.yml');
  const before = readLock(lockFile);
  if (options.fromLock) {
    if (!before)
      throw new PlatformError('invalid', `--from-lock: there is no ${lockFile}. Build once without it.`);
    demandSameDefinition(before, definition, lockFile);
  }
  const login = loginOf(options, tags[0]!);
  // Asked before the build: a name that cannot be registered should not cost ten minutes.
  const register = options.register ? await prepareRegistration(options.register, options) : null;
  return withEngine(async (engine): Promise<BuildResult> => {
    const built = await buildDefinition(engine, definition, options.fromLock ? before : null, options);
    if (options.fromLock) demandSameContents(before!, built.record, built.image);
    else writeLock(lockFile, built.lock);
    for (const tag of tags) await tagImage(engine.docker, built.image, tag);
    sayBuilt(built, tags, options.fromLock ? null : before, lockFile).forEach(say);
    const pushed: string[] = [];
    for (const tag of options.push ? tags : [])
      await step(`push ${tag}`, async () => {
        const digest = await pushImage(
          engine.docker,
          tag,
          hostOf(tag) === hostOf(tags[0]!) ? login : undefined,
        );
        pushed.push(`${repositoryOf(tag)}@${digest}`);
        say(`pushed      ${pushed.at(-1)}`);
      });
    const registered = register && pushed[0] ? await register(pushed[0]) : null;
    if (registered)
      say(`${registered.done.padEnd(11)} ${registered.name} (${registered.id}) as ${registered.image}`);
    return {
      image: built.image,
      tags,
      lockFile,
      base: built.lock.base,
      pushed: pushed[0] ?? null,
      registered,
    };
  });
};

/** Ctrl-C too ends the engine that was started, and with it the build. */
const withEngine = async <T>(work: (engine: Engine) => Promise<T>): Promise<T> => {
  const engine = await openEngine();
  const interrupt = (): void => {
    engine.close();
    process.exit(exitCodes.interrupted);
  };
  process.once('SIGINT', interrupt);
  try {
    return await work(engine);
  } finally {
    process.off('SIGINT', interrupt);
    engine.close();
  }
};

const sayBuilt = (
  { image, lock }: { image: string; lock: Lock },
  tags: readonly string[],
  before: Lock | null,
  lockFile: string,
): string[] => {
  const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;
  const loose = lock.python.filter(({ layer }) => layer === 'step').map(({ name }) => name);
  return [
    `${paint.bold('built')}       ${tags.join(', ')} (${image.slice(0, 19)})`,
    `on          ${lock.base.name} (${lock.base.digest.slice(0, 19)})`,
    `with        ${[
      count(lock.system.packages.length, 'system package'),
      count(lock.python.length, 'Python package'),
      count(lock.collections.length, 'collection'),
      ...(lock.roles.length > 0 ? [count(lock.roles.length, 'role')] : []),
    ].join(', ')}`,
    ...(loose.length > 0 ? [`not locked  ${loose.join(', ')}: installed by an additional build step`] : []),
    `lock        ${lockFile}`,
    ...(before ? differences(before, lock) : []).map((line) => `            ${line}`),
  ];
};
