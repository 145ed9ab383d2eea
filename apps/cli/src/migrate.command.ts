/** `gantry migrate` and `gantry secrets`: for compose and Kubernetes, where no supervisor does it. */
import { chmodSync, chownSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { serviceNames } from '@gantry/contracts/command';
import { PlatformError } from '@gantry/contracts/errors';
import { writeAtomically } from './home.js';
import { makeStreams, natsConfig } from './nats.part.js';
import { openSecrets } from './secrets.js';
import { migrateAll } from './supervisor.js';
import { exitCodes, print } from './terminal.js';

/**
 * Brings GANTRY_POSTGRES_URL's database up to date and makes the streams of GANTRY_NATS_URL. Each role gets the password in
 * GANTRY_<SERVICE>_POSTGRES_PASSWORD. Throws `invalid` for a missing one.
 */
export const migrateCommand = async (): Promise<number> => {
  const url = process.env['GANTRY_POSTGRES_URL'];
  if (!url)
    throw new PlatformError(
      'invalid',
      'GANTRY_POSTGRES_URL: give the URL of an administrator of the database server.',
    );
  const passwords: Record<string, string> = {};
  for (const name of serviceNames.filter((service) => service !== 'gateway')) {
    const variable = `GANTRY_${name.toUpperCase()}_POSTGRES_PASSWORD`;
    const password = process.env[variable];
    if (!password)
      throw new PlatformError(
        'invalid',
        `${variable}: give the password that the role gantry_${name} shall have.`,
      );
    passwords[name] = password;
  }
  await migrateAll(url, passwords);
  const natsUrl = process.env['GANTRY_NATS_URL'];
  if (natsUrl) await makeStreams(natsUrl, process.env['GANTRY_ADMINISTRATOR_NATS_SEED_FILE']);
  print(`The database${natsUrl ? ' and the streams are' : ' is'} up to date.`);
  return exitCodes.ok;
};

/** User and group of the services in their images (infra/images/service.Containerfile). */
const IMAGE_USER = 1000;

/** Makes what is missing of the keys in a folder, and nats-server's configuration; readable by the services' user alone. */
export const secretsCommand = async (options: { directory: string }): Promise<number> => {
  const secrets = openSecrets(options.directory);
  const file = join(options.directory, 'nats-server.conf');
  writeAtomically(
    file,
    natsConfig({ listen: '0.0.0.0:4222', monitor: '0.0.0.0:8222', storeDir: '/data', secrets }),
  );
  chmodSync(options.directory, 0o750);
  if (process.getuid?.() === 0)
    for (const name of ['.', ...readdirSync(options.directory)])
      chownSync(join(options.directory, name), IMAGE_USER, 0);
  print(`The keys lie in ${options.directory}.`);
  return exitCodes.ok;
};
