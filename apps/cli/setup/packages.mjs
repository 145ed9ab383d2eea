/** The distribution's packages: which are missing, and installing them with apt where that is allowed. */
import { existsSync } from 'node:fs';
import { run, SetupError, Stopped } from './run.mjs';
import { atLeast, hasApt, isRoot, output, privilege, which } from './system.mjs';

/**
 * @typedef {object} Need
 * @property {string} name       what it is called in the list shown to people
 * @property {string} why        what Gantry does with it
 * @property {string[]} packages Debian's and Ubuntu's names; all are needed
 * @property {string[]} [wanted] installed as well where the distribution has them
 * @property {string} elsewhere  what to install on other systems
 * @property {boolean} present
 */

/** Folders where engines keep helper programs that are on no PATH. */
const HELPERS = [
  '/usr/lib/podman',
  '/usr/libexec/podman',
  '/usr/local/lib/podman',
  '/usr/lib/cni',
  '/opt/cni/bin',
];

/** Podman with everything that makes a container start: a runtime, a monitor, a network; without root, user namespaces. */
export function podmanComplete() {
  const has = (/** @type {string} */ name) => which(name, HELPERS) !== undefined;
  const rootless = isRoot() || (has('newuidmap') && (has('slirp4netns') || has('pasta')));
  return (
    has('podman') &&
    has('conmon') &&
    (has('runc') || has('crun')) &&
    (has('netavark') || has('bridge')) &&
    rootless
  );
}

/**
 * What the packages of this machine must give us.
 * @param {object} want
 * @param {boolean} want.podman    no other container engine serves
 * @param {boolean} want.buildEe   the EE image is to be built from Debian's packages
 * @param {boolean} want.chromium  the tests of the page are to run
 * @returns {Need[]}
 */
export function needs(want) {
  const exec = which('git') && output('git', ['--exec-path']);
  /** @type {Need[]} */
  const all = [
    {
      name: 'git',
      why: 'fetches projects and serves the demo project',
      packages: ['git'],
      elsewhere: 'git with its `git daemon` (some systems have it as git-daemon)',
      present: Boolean(exec && existsSync(`${exec}/git-daemon`)),
    },
  ];
  if (want.podman) {
    all.push({
      name: 'podman',
      why: 'runs each job in a container of its own',
      // No recommended packages are installed, so what a container needs to start is named here.
      packages: ['podman', 'runc', 'conmon', 'iptables'],
      wanted: [
        ...['netavark', 'aardvark-dns', 'containernetworking-plugins', 'catatonit'],
        ...(isRoot() ? [] : ['uidmap', 'slirp4netns', 'passt', 'dbus-user-session']),
      ],
      elsewhere: 'podman >= 4.3 with netavark, or Docker Engine >= 24',
      present: podmanComplete(),
    });
  }
  if (want.buildEe) {
    all.push({
      name: 'mmdebstrap',
      why: "builds the Execution Environment image from the distribution's own packages",
      packages: ['mmdebstrap'],
      wanted: isRoot() ? [] : ['uidmap'],
      elsewhere: 'nothing: the image is built from infra/ee/Containerfile there',
      present: which('mmdebstrap') !== undefined,
    });
  }
  if (want.chromium) {
    all.push({
      name: 'chromium',
      why: 'the tests open the page in a real browser',
      packages: ['chromium'],
      elsewhere: 'Chromium or Google Chrome on the PATH',
      present: ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'].some((name) =>
        which(name),
      ),
    });
  }
  return all;
}

/**
 * Of these packages, the ones this machine's package lists offer, with the version that would be installed.
 * @param {string[]} names
 * @returns {Map<string, string>}
 */
export function candidates(names) {
  const text = output('apt-cache', ['policy', ...names], { env: { ...process.env, LC_ALL: 'C' } }) ?? '';
  /** @type {Map<string, string>} */
  const found = new Map();
  let name = '';
  for (const line of text.split('\n')) {
    if (/^\S+:$/.test(line)) name = line.slice(0, -1);
    const candidate = /^\s+Candidate: (.+)$/.exec(line)?.[1];
    if (candidate && candidate !== '(none)') found.set(name, candidate);
  }
  return found;
}

/**
 * The packages to install, once the lists are fresh: all that are needed, and of the wanted ones those that exist.
 * netavark serves podman 4 and later; the CNI plugins are its predecessor's and only go in without it.
 * @param {Need[]} missing
 * @param {Map<string, string>} offered
 */
export function choosePackages(missing, offered) {
  const chosen = new Set(missing.flatMap((need) => need.packages));
  for (const name of missing.flatMap((need) => need.wanted ?? [])) {
    if (!offered.has(name)) continue;
    if (name === 'containernetworking-plugins' && offered.has('netavark')) continue;
    chosen.add(name);
  }
  return [...chosen];
}

/**
 * The sentence for a person whose machine we may not touch.
 * @param {Need[]} missing
 * @param {boolean} apt
 */
export function howToInstall(missing, apt) {
  const list = missing.map(
    (need) => `  ${need.name}: ${need.why}${apt ? '' : `\n    install ${need.elsewhere}`}`,
  );
  const names = choosePackages(missing, candidates(missing.flatMap((need) => need.wanted ?? [])));
  const line = `  sudo apt-get install --no-install-recommends ${names.join(' ')}`;
  return ['Missing on this machine:', ...list, ...(apt ? ['Install them with:', line] : [])].join('\n');
}

/**
 * Install what is missing, all in one apt-get call, or say what to install.
 * @param {Need[]} missing
 * @param {object} context
 * @param {import('./system.mjs').Distro} context.distro
 * @param {string} context.log
 * @param {(text: string) => void} context.say   for what is about to be changed on the machine, and why
 * @param {(text: string) => void} [context.detail] shown beside the step while it runs
 * @returns {Promise<void>} rejects with exit code 3 where installing is not allowed or not possible
 */
export async function install(missing, { distro, log, say, detail }) {
  if (missing.length === 0) return;
  const apt = hasApt(distro);
  const may = privilege();
  if (!apt || !may || process.env.GANTRY_NO_INSTALL === '1') {
    const because =
      process.env.GANTRY_NO_INSTALL === '1'
        ? 'GANTRY_NO_INSTALL=1 forbids installing.'
        : apt
          ? 'Installing needs root or a sudo without password.'
          : 'Packages can be installed by this command on Debian and Ubuntu only.';
    throw new SetupError(`${howToInstall(missing, apt)}\n${because}`, { exitCode: 3 });
  }
  const env = { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8', APT_LISTCHANGES_FRONTEND: 'none' };
  const asAdmin = (/** @type {string[]} */ words) => {
    // sudo drops the environment, so it is given as words.
    const all = may.length
      ? [...may, 'env', ...Object.entries(env).map(([k, v]) => `${k}=${v}`), ...words]
      : words;
    return run(all[0], all.slice(1), { log, env, onLine: detail, keep: true });
  };
  const lock = ['-o', 'DPkg::Lock::Timeout=300'];
  for (const need of missing) say(`installing ${need.name} (${need.packages.join(', ')}): ${need.why}`);
  // A broken list of some third party must not stop us: what matters is whether the install works.
  await asAdmin(['apt-get', ...lock, 'update']).catch((error) => {
    if (error instanceof Stopped) throw error;
    say(`${error.message}; going on with the lists there are`);
  });
  const names = choosePackages(
    missing,
    candidates(missing.flatMap((need) => [...need.packages, ...(need.wanted ?? [])])),
  );
  await asAdmin(['apt-get', ...lock, 'install', '-y', '--no-install-recommends', ...names]);
}

/** The oldest nats-server whose JetStream our client can use. */
export const NATS_WANTED = '2.10';

/** Does the distribution itself offer a nats-server that is new enough? */
export const natsPackaged = () => atLeast(candidates(['nats-server']).get('nats-server') ?? '', NATS_WANTED);
