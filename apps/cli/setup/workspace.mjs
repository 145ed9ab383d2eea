/** This checkout made runnable: the npm packages installed, the sources compiled. Skipped when nothing changed. */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, SetupError, Stopped } from './run.mjs';

/** Folders that are not sources, and the set-up itself, which is not compiled. */
const SKIP = new Set(['node_modules', 'dist', 'coverage', '.nx', '.git', 'setup', 'fixtures', '__pycache__']);

/**
 * The hash of the lock file: what `npm ci` would install.
 * @param {string} root
 */
export const lockHash = (root) =>
  createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');

/**
 * A fingerprint of everything the build reads: paths, sizes and times of change. Tests are left out.
 * @param {string} root
 */
export function sourcesFingerprint(root) {
  const hash = createHash('sha256');
  const add = (/** @type {string} */ file, /** @type {import('node:fs').Stats} */ stat) =>
    hash.update(`${file}\0${stat.size}\0${stat.mtimeMs}\n`);
  const walk = (/** @type {string} */ folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) =>
      a.name < b.name ? -1 : 1,
    )) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        if (!SKIP.has(entry.name)) walk(path);
      } else if (!/\.spec\.(ts|tsx|mjs)$|\.tsbuildinfo$/.test(entry.name)) add(path, statSync(path));
    }
  };
  for (const name of ['apps', 'libs']) walk(join(root, name));
  for (const name of ['package.json', 'package-lock.json', 'nx.json', 'tsconfig.base.json']) {
    if (existsSync(join(root, name))) add(name, statSync(join(root, name)));
  }
  return hash.digest('hex');
}

/** Stamps lie in node_modules, so that they vanish with what they speak of. */
const stampFile = (/** @type {string} */ root, /** @type {string} */ name) =>
  join(root, 'node_modules', '.cache', 'gantry', name);

/**
 * @param {string} root
 * @param {string} name
 */
function readStamp(root, name) {
  const file = stampFile(root, name);
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

/**
 * @param {string} root
 * @param {string} name
 * @param {string} value
 */
function writeStamp(root, name, value) {
  mkdirSync(join(root, 'node_modules', '.cache', 'gantry'), { recursive: true });
  writeFileSync(stampFile(root, name), value);
}

/**
 * Are the npm packages there, as the lock file wants them?
 * @param {string} root
 */
export function packagesCurrent(root) {
  const hidden = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(hidden)) return false;
  const stamp = readStamp(root, 'lock');
  if (stamp !== undefined) return stamp === lockHash(root) || installedByHand(root, hidden);
  return installedByHand(root, hidden);
}

/**
 * Somebody ran npm himself after the lock file last changed; npm writes the two files within the same moment.
 * @param {string} root
 * @param {string} hidden npm's own record of what it installed
 */
function installedByHand(root, hidden) {
  if (statSync(hidden).mtimeMs < statSync(join(root, 'package-lock.json')).mtimeMs - 60_000) return false;
  writeStamp(root, 'lock', lockHash(root));
  return true;
}

/**
 * Install the npm packages of the lock file.
 * @param {{ root: string, log: string }} context
 */
export async function installPackages({ root, log }) {
  const hash = lockHash(root);
  /** @type {string[]} */
  const errors = [];
  const onLine = (/** @type {string} */ line) => {
    const text = /^npm error (.+)$/.exec(line)?.[1];
    if (text && !errors.includes(text)) errors.push(text);
  };
  const words = ['ci', '--no-audit', '--no-fund', '--no-progress'];
  const env = { npm_config_update_notifier: 'false' };
  await run('npm', words, { cwd: root, log, env, onLine }).catch((error) => {
    if (error instanceof Stopped || errors.length === 0) throw error;
    // After these lines npm prints how it is used, which helps nobody.
    const end = errors.findIndex((line) => /^(Clean install a project|A complete log)/.test(line));
    const shown = errors.slice(0, end < 0 ? 10 : Math.min(end, 10)).map((line) => `   ${line}`);
    throw new SetupError(`npm ci failed:\n${shown.join('\n')}\nAll of it: ${log}`);
  });
  writeStamp(root, 'lock', hash);
}

/**
 * Is the compiled code that of the sources?
 * @param {string} root
 */
export const buildCurrent = (root) =>
  existsSync(join(root, 'apps/cli/dist/main.js')) && readStamp(root, 'build') === sourcesFingerprint(root);

/**
 * Compile everything that changed. Nx keeps what it built before; none of its services are asked.
 * @param {{ root: string, log: string, detail?: (line: string) => void }} context
 */
export async function build({ root, log, detail }) {
  const fingerprint = sourcesFingerprint(root);
  const sockets = mkdtempSync(join(tmpdir(), 'gantry-build-'));
  const env = {
    NX_DAEMON: 'false',
    NX_NO_CLOUD: 'true',
    NX_TUI: 'false',
    NX_SKIP_REMOTE_CACHE: 'true',
    // What Nx keeps stays in the checkout: left alone, it writes to ~/.nx and /tmp/.nx.
    NX_CACHE_DIRECTORY: join(root, '.nx', 'cache'),
    NX_WORKSPACE_DATA_DIRECTORY: join(root, '.nx', 'workspace-data'),
    NX_SKIP_NATIVE_FILE_CACHE: 'true',
    NX_SOCKET_DIR: sockets,
    FORCE_COLOR: undefined,
    NO_COLOR: '1',
    NODE_OPTIONS: undefined,
  };
  const words = [join(root, 'node_modules', '.bin', 'nx'), 'run-many', '-t', 'build', '--outputStyle=stream'];
  /** @type {Set<string>} */
  const errors = new Set();
  const onLine = (/** @type {string} */ line) => {
    // What the compilers complain of; Nx puts the project's name before each line.
    if (/error TS\d+|\[?error\]? .*(rolldown|vite)/i.test(line)) errors.add(line.replace(/^@gantry\//, ''));
    const project = /^@gantry\/([\w-]+): > @gantry/.exec(line)?.[1];
    if (project) detail?.(project);
  };
  try {
    await run(process.execPath, words, { cwd: root, log, env, onLine });
  } catch (error) {
    if (error instanceof Stopped || errors.size === 0) throw error;
    const shown = [...errors].slice(0, 15);
    throw new SetupError(
      `The sources do not compile:\n${shown.map((line) => `   ${line}`).join('\n')}\nAll of it: ${log}`,
    );
  } finally {
    rmSync(sockets, { recursive: true, force: true });
  }
  writeStamp(root, 'build', fingerprint);
}
