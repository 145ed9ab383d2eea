/** The local Execution Environment image, and the image of the SSH host the tests manage: built when their recipe changed. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { run, SetupError, Stopped } from './run.mjs';
import { findMirrors, SUITE, sourcesList } from './sources.mjs';
import { isRoot, output, privilege, which } from './system.mjs';

/** The image the seed registers as the local EE. The tag is the recipe's version: raise it with the packages' meaning. */
export const EE_IMAGE = 'localhost/gantry-ee:24.11';

/** The image of the host that tests manage over SSH. */
export const SSHD_IMAGE = 'localhost/gantry-test-sshd:latest';

/** The label that carries the hash of the recipe an image was built from. */
export const RECIPE_LABEL = 'dev.gantry.recipe';

/**
 * The hash of every file in a folder: names and contents.
 * @param {string} folder
 * @param {string[]} [skip] names at the top that do not count
 */
export function recipeOf(folder, skip = []) {
  const hash = createHash('sha256');
  const walk = (/** @type {string} */ path) => {
    for (const name of readdirSync(path).sort()) {
      if (path === folder && skip.includes(name)) continue;
      const file = join(path, name);
      if (statSync(file).isDirectory()) walk(file);
      else
        hash
          .update(`${relative(folder, file)}\0`)
          .update(readFileSync(file))
          .update('\0');
    }
  };
  walk(folder);
  return hash.digest('hex').slice(0, 16);
}

/**
 * The recipe of the local EE.
 * @param {string} root the checkout
 */
export const eeRecipe = (root) => recipeOf(join(root, 'infra', 'ee'), ['sshd', 'README.md']);

/**
 * What the engine's own store says about an image.
 * @param {{ command: string, env: Record<string, string> }} engine
 * @param {string} image
 * @returns {{ id: string, recipe: string } | undefined} undefined: it is not there
 */
export function imageOf(engine, image) {
  const format = `{{.Id}} {{index .Config.Labels "${RECIPE_LABEL}"}}`;
  const text = output(engine.command, ['image', 'inspect', '--format', format, image], {
    env: { ...process.env, ...engine.env },
  });
  if (!text) return undefined;
  const [id, recipe] = text.split(' ');
  return { id, recipe };
}

/**
 * Settings of the machine's apt that the build must follow: its proxy, and whether an archive may be out of date
 * (machines that work from a frozen mirror say so).
 * @returns {{ env: Record<string, string>, lines: string[] }}
 */
function aptSettings() {
  const dump = output('apt-config', ['dump']) ?? '';
  const value = (/** @type {string} */ key) => new RegExp(`^${key} "(.+)";$`, 'm').exec(dump)?.[1];
  /** @type {Record<string, string>} */
  const env = {};
  // The proxy goes into the environment only: it may hold a password, and the image must not.
  for (const scheme of ['http', 'https']) {
    const proxy = value(`Acquire::${scheme}::Proxy`);
    if (proxy && proxy !== 'DIRECT') env[`${scheme}_proxy`] = proxy;
  }
  const lines = ['Acquire::Languages "none";'];
  for (const key of ['Acquire::Check-Valid-Until', 'Acquire::Check-Date']) {
    if (value(key)) lines.push(`${key} "${value(key)}";`);
  }
  return { env, lines };
}

/**
 * @typedef {object} BuildContext
 * @property {{ command: string, env: Record<string, string> }} engine
 * @property {string} root    the checkout
 * @property {import('./system.mjs').Distro} distro
 * @property {string} log
 * @property {(line: string) => void} [detail]
 */

/** The phases of mmdebstrap's output, in words for the terminal. */
const PHASES = [
  [/running apt-get update/, 'reading package lists'],
  [/downloading packages/, 'downloading'],
  [/extracting archives/, 'unpacking the base'],
  [/installing essential/, 'installing the base'],
  [/installing remaining/, 'installing ansible'],
  [/creating tarball/, 'packing'],
  [/importing/, 'importing into the engine'],
];

/**
 * Build the local EE from the recipe as it is now: from Debian's packages where their mirror is known, else from the Containerfile.
 * @param {BuildContext} context
 */
export async function buildEe({ engine, root, distro, log, detail }) {
  const folder = join(root, 'infra', 'ee');
  const recipe = eeRecipe(root);
  const before = imageOf(engine, EE_IMAGE);
  const mirrors = which('mmdebstrap') ? await findMirrors(distro, log) : undefined;
  if (mirrors) {
    const work = mkdtempSync(join(tmpdir(), 'gantry-ee-'));
    const apt = aptSettings();
    try {
      writeFileSync(join(work, 'sources.list'), sourcesList(mirrors));
      writeFileSync(join(work, 'apt.conf'), `${apt.lines.join('\n')}\n`);
      // As the administrator where we may be: without, mmdebstrap needs user namespaces, which not every machine allows.
      const admin = isRoot() ? [] : (privilege() ?? []);
      const proxies = Object.entries(apt.env).map(([key, proxy]) => `${key}=${proxy}`);
      const env = {
        ...apt.env,
        ...engine.env,
        ENGINE: engine.command,
        LABEL: `${RECIPE_LABEL}=${recipe}`,
        SUITE,
        WORK: work,
        // sudo drops the environment, so what apt needs of it is given as words.
        AS_ROOT: [...admin, ...(admin.length > 0 ? ['env', ...proxies] : [])].join(' '),
      };
      const onLine = (/** @type {string} */ line) => {
        const phase = PHASES.find(
          ([pattern]) => line.startsWith('I: ') && /** @type {RegExp} */ (pattern).test(line),
        );
        if (phase) detail?.(/** @type {string} */ (phase[1]));
      };
      await run('sh', [join(folder, 'build-debian.sh'), EE_IMAGE], { log, env, onLine });
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  } else {
    detail?.('from infra/ee/Containerfile');
    await buildFile(engine, folder, EE_IMAGE, recipe, [], log);
  }
  dropOld(engine, before, EE_IMAGE);
}

/**
 * The recipe of the SSH host: its own files and the image below it. Undefined before the EE is there.
 * @param {Pick<BuildContext, 'engine' | 'root'>} context
 */
function sshdRecipe({ engine, root }) {
  const base = imageOf(engine, EE_IMAGE);
  return (
    base && `${recipeOf(join(root, 'infra', 'ee', 'sshd'))}-${base.id.replace(/^sha256:/, '').slice(0, 12)}`
  );
}

/**
 * Is the SSH host's image the one its recipe gives?
 * @param {Pick<BuildContext, 'engine' | 'root'>} context
 */
export function sshdCurrent(context) {
  const recipe = sshdRecipe(context);
  return recipe !== undefined && imageOf(context.engine, SSHD_IMAGE)?.recipe === recipe;
}

/**
 * Build the image of the SSH host for tests, on top of the EE.
 * @param {Pick<BuildContext, 'engine' | 'root' | 'log'>} context
 */
export async function buildSshd({ engine, root, log }) {
  const recipe = sshdRecipe({ engine, root });
  if (!recipe)
    throw new SetupError(`The image ${EE_IMAGE} must be there before ${SSHD_IMAGE} can be built on it`);
  const before = imageOf(engine, SSHD_IMAGE);
  const folder = join(root, 'infra', 'ee', 'sshd');
  await buildFile(engine, folder, SSHD_IMAGE, recipe, ['--build-arg', `BASE_IMAGE=${EE_IMAGE}`], log);
  dropOld(engine, before, SSHD_IMAGE);
}

/**
 * @param {BuildContext['engine']} engine
 * @param {string} folder
 * @param {string} image
 * @param {string} recipe
 * @param {string[]} more
 * @param {string} log
 */
async function buildFile(engine, folder, image, recipe, more, log) {
  // chroot isolation needs no container runtime, so it also works where podman's default one does not.
  const own = /podman/.test(engine.command) ? ['--isolation=chroot', '--format=docker'] : [];
  const words = [
    'build',
    ...own,
    '--label',
    `${RECIPE_LABEL}=${recipe}`,
    ...more,
    '-t',
    image,
    '-f',
    join(folder, 'Containerfile'),
    folder,
  ];
  await run(engine.command, words, { log, env: { ...aptSettings().env, ...engine.env } }).catch((error) => {
    if (error instanceof Stopped) throw error;
    throw new SetupError(
      `${error.message} while building ${image} from ${join(folder, 'Containerfile')}. It needs a registry with its base image ` +
        'and package mirrors that this machine can reach; or name an image of your own in GANTRY_EE_IMAGE.',
      { log },
    );
  });
}

/**
 * Remove the image that the new one replaced, unless a container still uses it.
 * @param {BuildContext['engine']} engine
 * @param {{ id: string } | undefined} before
 * @param {string} image
 */
function dropOld(engine, before, image) {
  if (before && imageOf(engine, image)?.id !== before.id) {
    output(engine.command, ['image', 'rm', before.id], { env: { ...process.env, ...engine.env } });
  }
}
