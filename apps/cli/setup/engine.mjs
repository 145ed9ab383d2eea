/** The container engine: which one serves, and what it needs to be told so that containers start on this machine. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { SetupError } from './run.mjs';
import { which } from './system.mjs';

/** @typedef {import('./machine.mjs').Engine} Engine */

/**
 * Does a Docker Engine API answer at this address?
 * @param {string} address `unix:///path`, `tcp://host:port` or `http://host:port`
 * @returns {Promise<boolean>} false also after 3 s of silence
 */
export function answers(address) {
  const url = /^unix:\/\/(.+)$/.exec(address);
  const options = url ? { socketPath: url[1] } : hostAndPort(address);
  if (!options || (url && !existsSync(url[1]))) return Promise.resolve(false);
  return new Promise((resolve) => {
    const call = request({ ...options, path: '/_ping', timeout: 3000 }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve(false));
    call.end();
  });
}

/** @param {string} address */
function hostAndPort(address) {
  try {
    const { hostname, port } = new URL(address.replace(/^tcp:/, 'http:'));
    return { host: hostname, port: Number(port || 2375) };
  } catch {
    return undefined;
  }
}

/** The engine the user names in the environment, if any. */
export const namedEngine = () =>
  process.env.GANTRY_CONTAINER_HOST || process.env.CONTAINER_HOST || process.env.DOCKER_HOST;

/**
 * The socket of an engine that already runs: the one the user names, else Docker's. Podman is not looked for.
 * @returns {Promise<Engine | undefined>}
 */
export async function runningEngine() {
  const named = namedEngine();
  if (named) {
    if (!(await answers(named))) {
      throw new SetupError(
        `No container engine answers at ${named}. Correct GANTRY_CONTAINER_HOST, CONTAINER_HOST or DOCKER_HOST, or unset it.`,
      );
    }
    const docker = which('docker');
    /** @type {Record<string, string>} */
    const env = docker ? { DOCKER_HOST: named } : { CONTAINER_HOST: named };
    return {
      kind: 'external',
      command: docker ?? which('podman') ?? null,
      socket: named,
      env,
      managed: false,
      service: null,
      network: 'bridge',
    };
  }
  for (const path of [
    '/var/run/docker.sock',
    join(process.env.XDG_RUNTIME_DIR ?? '/nonexistent', 'docker.sock'),
  ]) {
    if (!which('docker') || !(await answers(`unix://${path}`))) continue;
    const socket = `unix://${path}`;
    return {
      kind: 'docker',
      command: which('docker') ?? null,
      socket,
      env: { DOCKER_HOST: socket },
      managed: false,
      service: null,
      network: 'bridge',
    };
  }
  return undefined;
}

/**
 * Where our own podman serves its API. A socket's path may have 107 bytes, so a deep home gets one elsewhere.
 * @param {string} home
 */
export function socketPath(home) {
  const path = join(home, 'run', 'engine.sock');
  if (Buffer.byteLength(path) < 100) return path;
  const folder = join(tmpdir(), `gantry-${createHash('sha256').update(home).digest('hex').slice(0, 12)}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return join(folder, 'engine.sock');
}

/**
 * Podman as an engine that we start ourselves.
 * @param {string} home
 * @param {Record<string, string>} env
 * @param {'bridge' | 'host'} network
 * @param {string} [probed]
 * @returns {Engine}
 */
export function podmanEngine(home, env, network, probed) {
  const command = which('podman') ?? 'podman';
  const socket = `unix://${socketPath(home)}`;
  const service = { command, args: ['system', 'service', '--time=0', socket], env };
  return { kind: 'podman', command, socket, env, managed: true, service, network, probed };
}

/**
 * A configuration of our own for machines on which podman's defaults cannot start a container: no systemd, cgroup v1
 * (which crun refuses), or no right to raise limits. Soft and hard limits are equal on purpose: podman swaps the two
 * on one of its paths.
 * @param {string} folder where netavark would be found; tells whether to name it
 */
export function privateConf(folder = '/usr/lib/podman') {
  const lines = ["# Written by ./gantry: podman's defaults cannot start a container on this machine."];
  lines.push('[containers]', 'default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]');
  lines.push('[engine]', ...(which('runc') ? ['runtime = "runc"'] : []), 'cgroup_manager = "cgroupfs"');
  if (existsSync(join(folder, 'netavark'))) lines.push('[network]', 'network_backend = "netavark"');
  return `${lines.join('\n')}\n`;
}

/** What a probe's result depends on; probed again when it changes. */
function probeKey() {
  const podman = which('podman');
  return podman ? `${podman} ${statSync(podman).mtimeMs} ${release()}` : '';
}

/**
 * Find out how podman starts containers here, by starting some from the image that is there now.
 * @param {string} home
 * @param {string} image
 * @param {Engine | undefined} before an earlier result, used again if nothing it depends on changed
 * @returns {Engine}
 */
export function probePodman(home, image, before) {
  const conf = join(home, 'containers.conf');
  const key = probeKey();
  if (
    before?.kind === 'podman' &&
    before.probed === key &&
    (!before.env.CONTAINERS_CONF || existsSync(before.env.CONTAINERS_CONF))
  ) {
    return podmanEngine(home, before.env, before.network, key);
  }
  let said = '';
  const starts = (/** @type {Record<string, string>} */ env, /** @type {string} */ network) => {
    const result = spawnSync(
      'podman',
      ['run', '--rm', '--pull=never', `--network=${network}`, image, 'true'],
      {
        encoding: 'utf8',
        env: { ...process.env, ...env },
        timeout: 60_000,
      },
    );
    said = (result.stderr || result.error?.message || `exit code ${result.status}`).trim();
    return result.status === 0;
  };
  /** @type {Record<string, string>[]} */
  const ways = [{}, { CONTAINERS_CONF: conf }];
  for (const env of ways) {
    if (env.CONTAINERS_CONF) writeFileSync(conf, privateConf());
    if (!starts(env, 'none')) continue;
    if (!env.CONTAINERS_CONF) rmSync(conf, { force: true });
    return podmanEngine(home, env, starts(env, 'bridge') ? 'bridge' : 'host', key);
  }
  throw new SetupError(
    'podman is installed but starts no container here, neither with its own settings nor with runc, cgroupfs and low limits. ' +
      `It says: ${said}\nTry it: CONTAINERS_CONF=${conf} podman run --rm --network=none ${image} true`,
  );
}
