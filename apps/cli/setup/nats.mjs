/** nats-server: the one on the machine if it is new enough, else a private copy out of a distribution package. */
import {
  copyFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NATS_WANTED, natsPackaged } from './packages.mjs';
import { run, SetupError } from './run.mjs';
import { findMirrors, privateApt, SUITE, sourcesList } from './sources.mjs';
import { atLeast, hasApt, output, which } from './system.mjs';

/**
 * A nats-server that is new enough, on the PATH or fetched earlier.
 * @param {string} home the folder of Gantry's data
 * @returns {{ command?: string, tooOld?: string }} tooOld: the version of one that does not serve
 */
export function findNatsServer(home) {
  let tooOld;
  for (const command of [join(home, 'bin', 'nats-server'), which('nats-server')]) {
    if (!command || !existsSync(command)) continue;
    const version = output(command, ['--version']) ?? '';
    if (atLeast(version, NATS_WANTED)) return { command };
    tooOld = version.replace(/^.*?v?(?=\d)/, '');
  }
  return { tooOld };
}

/** What to do where we cannot fetch it. */
export const NATS_BY_HAND =
  `nats-server ${NATS_WANTED} or later is needed: put it on the PATH (it is one file, published by the NATS project for every ` +
  'system), or name a running server with JetStream in GANTRY_NATS_URL.';

/**
 * Get a nats-server into `<home>/bin` without changing the machine: the distribution's package is downloaded and
 * unpacked there, never installed, since installing it would also start a server. Where the machine's own release
 * has an older one, the package of a newer Debian release is taken from the same mirror.
 * @param {object} context
 * @param {string} context.home
 * @param {string} context.log
 * @param {import('./system.mjs').Distro} context.distro
 * @returns {Promise<string>} its path; rejects with exit code 3 where it must be installed by hand
 */
export async function fetchNatsServer({ home, log, distro }) {
  if (process.env.GANTRY_NO_INSTALL === '1' || !hasApt(distro) || !which('dpkg')) {
    throw new SetupError(NATS_BY_HAND, { exitCode: 3 });
  }
  const own = natsPackaged();
  const mirrors = own ? undefined : await findMirrors(distro, log);
  if (!own && !mirrors)
    throw new SetupError(`${distro.name} has no nats-server that is new enough. ${NATS_BY_HAND}`, {
      exitCode: 3,
    });
  const folder = mkdtempSync(join(tmpdir(), 'gantry-nats-'));
  try {
    mkdirSync(join(folder, 'out'));
    const options = privateApt(folder);
    if (!own && mirrors) {
      writeFileSync(join(folder, 'sources.list'), sourcesList(mirrors));
      options.push('-o', `Dir::Etc::sourcelist=${folder}/sources.list`, '-o', 'Dir::Etc::sourceparts=-');
      options.push(
        '-o',
        'Dir::Etc::preferencesparts=/dev/null',
        '-o',
        'Dir::Etc::preferences=/dev/null',
        '-o',
        `APT::Default-Release=${SUITE}`,
      );
    }
    await run('apt-get', [...options, 'update'], { log });
    await run('apt-get', [...options, 'download', 'nats-server'], { log, cwd: folder });
    const deb = readdirSync(folder).find((name) => name.endsWith('.deb'));
    if (!deb) throw new SetupError('apt-get download left no package behind', { log });
    await run('dpkg', ['-x', join(folder, deb), join(folder, 'out')], { log });
    const source = ['usr/sbin', 'usr/bin']
      .map((name) => join(folder, 'out', name, 'nats-server'))
      .find(existsSync);
    if (!source) throw new SetupError(`${deb} holds no nats-server`, { log });
    const target = join(home, 'bin', 'nats-server');
    mkdirSync(join(home, 'bin'), { recursive: true });
    // Put in place by a rename, so that a half-written program is never found by a second start.
    copyFileSync(source, `${target}.new`);
    chmodSync(`${target}.new`, 0o755);
    renameSync(`${target}.new`, target);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const { command, tooOld } = findNatsServer(home);
  if (!command)
    throw new SetupError(`The package's nats-server is ${tooOld ?? 'not usable here'}. ${NATS_BY_HAND}`, {
      exitCode: 3,
      log,
    });
  return command;
}
