/** Where this checkout lies and where Gantry keeps what belongs to this machine. */
import { mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the checkout. */
export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');

/** The folder of Gantry's data, logs and secrets on this machine: GANTRY_HOME, else `.gantry` in the checkout. */
export const HOME = resolve(process.env.GANTRY_HOME || join(ROOT, '.gantry'));

/**
 * The log file of one step of the set-up.
 * @param {string} step
 */
export const logOf = (step) => join(HOME, 'log', `setup-${step}.log`);

/**
 * Make the folder of our data. Others may pass through it, since as root the database runs as another user, but not
 * list it; what is secret in it has a mode of its own.
 */
export function makeHome() {
  mkdirSync(HOME, { recursive: true, mode: 0o711 });
  for (const name of ['bin', 'log', 'run']) mkdirSync(join(HOME, name), { recursive: true });
}
