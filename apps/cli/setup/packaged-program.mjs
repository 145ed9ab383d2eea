/** Programs taken out of the distribution's packages without installing them: installing some would start a server. */
import {
  chmodSync,
  copyFileSync,
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
import { run, SetupError } from './run.mjs';
import { findMirrors, privateApt, SUITE, sourcesList } from './sources.mjs';
import { hasApt, which } from './system.mjs';

/**
 * @typedef {object} Context
 * @property {string} home the folder of Gantry's data
 * @property {string} log
 * @property {import('./system.mjs').Distro} distro
 */

/**
 * Get a program into `<home>/bin` without changing the machine: the package of the same name is downloaded and unpacked.
 * @param {string} name
 * @param {Context & { newer: boolean, byHand: string }} context newer: out of the newer Debian release, from the same mirror
 * @returns {Promise<string>} its path; rejects with exit code 3 and `byHand` where there is none to be had
 */
export async function fetchProgram(name, { home, log, distro, newer, byHand }) {
  if (process.env.GANTRY_NO_INSTALL === '1' || !hasApt(distro) || !which('dpkg'))
    throw new SetupError(byHand, { exitCode: 3 });
  const mirrors = newer ? await findMirrors(distro, log) : undefined;
  if (newer && !mirrors)
    throw new SetupError(`${distro.name} has no ${name} that is new enough. ${byHand}`, { exitCode: 3 });
  const folder = mkdtempSync(join(tmpdir(), 'gantry-package-'));
  try {
    mkdirSync(join(folder, 'out'));
    const options = privateApt(folder);
    if (mirrors) {
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
    await run('apt-get', [...options, 'download', name], { log, cwd: folder });
    const deb = readdirSync(folder).find((file) => file.endsWith('.deb'));
    if (!deb) throw new SetupError('apt-get download left no package behind', { log });
    await run('dpkg', ['-x', join(folder, deb), join(folder, 'out')], { log });
    const source = ['usr/sbin', 'usr/bin'].map((place) => join(folder, 'out', place, name)).find(existsSync);
    if (!source) throw new SetupError(`${deb} holds no ${name}`, { log });
    const target = join(home, 'bin', name);
    mkdirSync(join(home, 'bin'), { recursive: true });
    // Put in place by a rename, so that a half-written program is never found by a second start.
    copyFileSync(source, `${target}.new`);
    chmodSync(`${target}.new`, 0o755);
    renameSync(`${target}.new`, target);
    return target;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
