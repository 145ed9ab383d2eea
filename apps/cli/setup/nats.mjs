/** nats-server: the one on the machine if it is new enough, else a private copy out of a distribution package. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './home.mjs';
import { fetchProgram } from './packaged-program.mjs';
import { NATS_WANTED, natsPackaged } from './packages.mjs';
import { SetupError } from './run.mjs';
import { atLeast, output, which } from './system.mjs';

/**
 * A nats-server that is new enough: fetched earlier, for this home or for the checkout's own, or on the PATH.
 * @param {string} home the folder of Gantry's data
 * @returns {{ command?: string, tooOld?: string }} tooOld: the version of one that does not serve
 */
export function findNatsServer(home) {
  let tooOld;
  const fetched = [home, join(ROOT, '.gantry')].map((folder) => join(folder, 'bin', 'nats-server'));
  for (const command of [...fetched, which('nats-server')]) {
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
 * Get a nats-server into `<home>/bin`. Where the machine's own release has an older one, the package of a newer Debian release
 * is taken from the same mirror.
 * @param {import('./packaged-program.mjs').Context} context
 * @returns {Promise<string>} its path; rejects with exit code 3 where it must be installed by hand
 */
export async function fetchNatsServer(context) {
  await fetchProgram('nats-server', { ...context, newer: !natsPackaged(), byHand: NATS_BY_HAND });
  const { command, tooOld } = findNatsServer(context.home);
  if (!command)
    throw new SetupError(`The package's nats-server is ${tooOld ?? 'not usable here'}. ${NATS_BY_HAND}`, {
      exitCode: 3,
      log: context.log,
    });
  return command;
}
