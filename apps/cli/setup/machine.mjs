/** What set-up found and made on this machine, for everything that starts afterwards: `<home>/machine.json`. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @typedef {object} Engine
 * @property {'podman' | 'docker' | 'external'} kind  external: named by the user in the environment
 * @property {string | null} command  `podman` or `docker` for building images; null where there is neither
 * @property {string} socket          address of the Docker Engine API, `unix:///...` or `tcp://...`
 * @property {Record<string, string>} env  to be set whenever `command` or `service` runs (CONTAINERS_CONF)
 * @property {boolean} managed        we start and stop the API service ourselves, with `service`
 * @property {{ command: string, args: string[], env: Record<string, string> } | null} service
 *   the process that serves the API on `socket`; null where somebody else runs it
 * @property {'bridge' | 'host'} network  the network a pod can be given: host where no bridge can be made
 * @property {string} [probed]        what was probed, so that it is not probed at every start
 *
 * @typedef {object} Postgres
 * @property {string} binDir   folder of `initdb`, `pg_ctl` and `postgres`
 * @property {string} dataDir  where the embedded server keeps its data
 * @property {number | null} uid  the user that must own the data and run the server; null: the one who runs Gantry
 * @property {number | null} gid
 *
 * @typedef {object} Machine
 * @property {string | null} natsServer  path of nats-server; null: GANTRY_NATS_URL names a server
 * @property {Engine} engine
 * @property {string} eeImage            name of the local EE image
 * @property {Postgres | null} postgres  null: GANTRY_POSTGRES_URL names a server
 * @property {{ command: string, daemon: string }} git  paths of `git` and `git-daemon`
 * @property {string | null} chromium    for the tests of the page
 * @property {string} distro             for people
 */

/**
 * Read what an earlier set-up wrote.
 * @param {string} home
 * @returns {Partial<Machine>} empty before the first set-up, or when the file cannot be read
 */
export function readMachine(home) {
  try {
    return JSON.parse(readFileSync(join(home, 'machine.json'), 'utf8'));
  } catch {
    return {};
  }
}

/**
 * Write it, in one step so that nobody reads half of it, and only if it changed.
 * @param {string} home
 * @param {Machine} machine
 */
export function writeMachine(home, machine) {
  const text = `${JSON.stringify(machine, null, 2)}\n`;
  const file = join(home, 'machine.json');
  if (`${JSON.stringify(readMachine(home), null, 2)}\n` === text) return;
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}
