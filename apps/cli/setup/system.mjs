/**
 * What this machine is: its distribution, its programs, what we may do on it.
 * Like every file of this folder it runs before `npm ci`, so it imports nothing but Node's own modules.
 */
import { execFileSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * @typedef {object} Distro
 * @property {string} id        `debian`, `ubuntu`, `fedora`... or `unknown`
 * @property {string[]} like    the families it says it belongs to
 * @property {string} codename  `bookworm`, `noble`... or empty
 * @property {string} name      for people
 */

/**
 * Read the text of /etc/os-release.
 * @param {string} text
 * @returns {Distro}
 */
export function parseOsRelease(text) {
  /** @type {Record<string, string>} */
  const fields = {};
  for (const line of text.split('\n')) {
    const found = /^\s*([A-Z_0-9]+)=(.*)$/.exec(line);
    if (found) fields[found[1]] = found[2].trim().replace(/^(['"])(.*)\1$/, '$2');
  }
  return {
    id: fields.ID ?? 'unknown',
    like: (fields.ID_LIKE ?? '').split(/\s+/).filter(Boolean),
    codename: fields.VERSION_CODENAME ?? '',
    name: fields.PRETTY_NAME ?? fields.NAME ?? process.platform,
  };
}

/** @returns {Distro} */
export function readDistro() {
  for (const file of ['/etc/os-release', '/usr/lib/os-release']) {
    try {
      return parseOsRelease(readFileSync(file, 'utf8'));
    } catch {
      // not this one
    }
  }
  return { id: 'unknown', like: [], codename: '', name: process.platform };
}

/**
 * The numbers of a version as programs print it: "nats-server: v2.10.27-beta" is [2, 10, 27].
 * @param {string} text
 * @returns {number[]} empty when there is no version in it
 */
export function versionOf(text) {
  const found = /(\d+)(?:\.(\d+))?(?:\.(\d+))?/.exec(text);
  return found
    ? found
        .slice(1)
        .filter((part) => part !== undefined)
        .map(Number)
    : [];
}

/**
 * Is `found` the version `wanted` or a later one?
 * @param {string} found
 * @param {string} wanted
 */
export function atLeast(found, wanted) {
  const [a, b] = [versionOf(found), versionOf(wanted)];
  if (a.length === 0) return false;
  for (let i = 0; i < Math.max(a.length, b.length); i += 1) {
    if ((a[i] ?? 0) !== (b[i] ?? 0)) return (a[i] ?? 0) > (b[i] ?? 0);
  }
  return true;
}

/**
 * The full path of a program, or undefined. The administrators' folders are searched too: a plain user's
 * PATH leaves them out on Debian, and the programs we look for there run without rights as well.
 * @param {string} program
 * @param {string[]} [more] further folders
 */
export function which(program, more = []) {
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter),
    '/usr/local/sbin',
    '/usr/sbin',
    '/sbin',
    ...more,
  ];
  for (const folder of folders.filter(Boolean)) {
    const file = join(folder, program);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // not here
    }
  }
  return undefined;
}

/**
 * What a program prints, or undefined if it is missing, fails or takes longer than `timeoutMs`.
 * @param {string} program
 * @param {string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, timeoutMs?: number }} [options]
 */
export function output(program, args, options = {}) {
  try {
    return execFileSync(program, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: options.timeoutMs ?? 15_000,
      env: options.env ?? process.env,
      maxBuffer: 64 * 1024 * 1024,
    }).trim();
  } catch {
    return undefined;
  }
}

/** @returns {boolean} do we run as the administrator? */
export const isRoot = () => process.getuid?.() === 0;

/**
 * The words to put before a command that only the administrator may run.
 * @returns {string[] | undefined} undefined: we may not become administrator without asking for a password
 */
export function privilege() {
  if (isRoot()) return [];
  const sudo = which('sudo');
  return sudo && output(sudo, ['-n', 'true']) !== undefined ? [sudo, '-n'] : undefined;
}

/**
 * May packages be installed with apt here?
 * @param {Distro} distro
 */
export function hasApt(distro) {
  const family = [distro.id, ...distro.like];
  return (family.includes('debian') || family.includes('ubuntu')) && which('apt-get') !== undefined;
}
