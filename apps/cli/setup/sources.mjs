/**
 * Where this machine gets its Debian packages from. Mirrors are read from its own apt configuration at run time,
 * so that proxies, local mirrors and keys serve us as they serve the machine; no mirror is named here.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './run.mjs';
import { output, which } from './system.mjs';

/** The Debian release whose packages the local EE is made of, and whose nats-server is new enough. */
export const SUITE = 'trixie';

/** Debian's keys where the package debian-archive-keyring puts them. */
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * @typedef {object} Mirrors
 * @property {string} main       base address of the archive
 * @property {string} [security] base address of the security archive
 */

/** The fields asked of `apt-get indextargets`, in this order, separated by bars. */
const FORMAT = '$(SITE)|$(RELEASE)|$(CODENAME)|$(COMPONENT)|$(ORIGIN)';

/**
 * Find the archive and the security archive of a Debian release among what apt is configured with.
 * @param {string} targets  what `apt-get indextargets` printed in the FORMAT above
 * @param {string} codename the machine's own release
 * @returns {Mirrors | undefined} undefined: no Debian archive in the configuration
 */
export function mirrorsFrom(targets, codename) {
  const rows = targets
    .split('\n')
    .map((line) => line.trim().split('|'))
    .filter((row) => row.length === 5 && row[3] === 'main');
  // The origin is only known once the lists were fetched; without it the release's name has to do.
  const debian = rows.some((row) => row[4] === 'Debian') ? rows.filter((row) => row[4] === 'Debian') : rows;
  const site = (/** @type {(release: string) => boolean} */ fits) =>
    debian.find((row) => (fits(row[1]) || fits(row[2])) && /^https?:/.test(row[0]))?.[0].replace(/\/+$/, '');
  const main = site((release) => release === codename);
  if (!main) return undefined;
  return { main, security: site((release) => release === `${codename}-security`) };
}

/**
 * The Debian mirrors of this machine; undefined on anything but a Debian with apt, and as long as the machine has
 * never fetched its package lists: apt only tells of archives it knows.
 * @param {import('./system.mjs').Distro} distro
 * @param {string[]} [options] for apt-get
 */
export function debianMirrors(distro, options = []) {
  if (distro.id !== 'debian' || !distro.codename) return undefined;
  const targets = output('apt-get', [...options, 'indextargets', '--format', FORMAT, 'Created-By: Packages']);
  return targets ? mirrorsFrom(targets, distro.codename) : undefined;
}

/**
 * Options that give apt lists and a cache of our own: the real ones stay untouched, and no rights are needed.
 * @param {string} folder
 */
export function privateApt(folder) {
  for (const name of ['lists/partial', 'cache/archives/partial'])
    mkdirSync(join(folder, name), { recursive: true });
  return [
    '-o',
    `Dir::State::lists=${folder}/lists`,
    '-o',
    `Dir::Cache=${folder}/cache`,
    '-o',
    'APT::Sandbox::User=',
  ];
}

/**
 * The Debian mirrors of this machine, also where its lists were never fetched: then they are, into a folder of ours.
 * @param {import('./system.mjs').Distro} distro
 * @param {string} log
 * @returns {Promise<Mirrors | undefined>} undefined on anything but a Debian with apt
 */
export async function findMirrors(distro, log) {
  const known = debianMirrors(distro);
  if (known || distro.id !== 'debian' || !which('apt-get')) return known;
  const folder = mkdtempSync(join(tmpdir(), 'gantry-apt-'));
  try {
    const options = privateApt(folder);
    await run('apt-get', [...options, 'update'], { log });
    return debianMirrors(distro, options);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * The text of a sources.list for another release from the same mirrors, security updates included.
 * @param {Mirrors} mirrors
 * @param {string} [suite]
 * @param {string} [keyring] the keys that must have signed it, where the machine has them
 */
export function sourcesList(mirrors, suite = SUITE, keyring = existsSync(KEYRING) ? KEYRING : undefined) {
  const option = keyring ? ` [signed-by=${keyring}]` : '';
  const lines = [
    `deb${option} ${mirrors.main} ${suite} main`,
    `deb${option} ${mirrors.main} ${suite}-updates main`,
  ];
  if (mirrors.security) lines.push(`deb${option} ${mirrors.security} ${suite}-security main`);
  return `${lines.join('\n')}\n`;
}
