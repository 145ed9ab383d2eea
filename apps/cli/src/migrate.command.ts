/** `gantry migrate`: for compose and Kubernetes, where no supervisor does it. */
import { serviceNames } from '@gantry/contracts/command';
import { PlatformError } from '@gantry/contracts/errors';
import { migrateAll } from './supervisor.js';
import { exitCodes, print } from './terminal.js';

/** Brings GANTRY_POSTGRES_URL's database up to date; each role gets the password in GANTRY_<SERVICE>_POSTGRES_PASSWORD. Throws `invalid` for a missing one. */
export const migrateCommand = async (): Promise<number> => {
  const url = process.env['GANTRY_POSTGRES_URL'];
  if (!url) throw new PlatformError('invalid', 'GANTRY_POSTGRES_URL: give the URL of an administrator of the database server.');
  const passwords: Record<string, string> = {};
  for (const name of serviceNames.filter((service) => service !== 'gateway')) {
    const variable = `GANTRY_${name.toUpperCase()}_POSTGRES_PASSWORD`;
    const password = process.env[variable];
    if (!password) throw new PlatformError('invalid', `${variable}: give the password that the role gantry_${name} shall have.`);
    passwords[name] = password;
  }
  await migrateAll(url, passwords);
  print('The database is up to date.');
  return exitCodes.ok;
};
