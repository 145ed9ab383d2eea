/** The podman of this machine and the local Execution Environment, for tests that build and look into images. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homePath } from '../home.js';

const conf = homePath('containers.conf');
const environment = {
  ...process.env,
  ...(existsSync(conf) && !process.env['CONTAINERS_CONF'] ? { CONTAINERS_CONF: conf } : {}),
};

/** Runs podman; gives its standard output. Throws an Error with what it says otherwise. */
export const podman = (...words: string[]): string =>
  execFileSync('podman', words, { env: environment, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

const findImage = (): string | undefined => {
  try {
    return podman('images', '--format', '{{.Repository}}:{{.Tag}}')
      .split('\n')
      .find((name) => /(^|\/)gantry-ee:/.test(name));
  } catch {
    return undefined;
  }
};

/** The Execution Environment that the set-up has built; undefined where there is none. */
export const eeImage = process.env['GANTRY_TEST_EE_IMAGE'] ?? findImage();
