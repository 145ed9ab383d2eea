/** The embedded nats-server: JetStream, a user with its own permissions for each service. */
import { connectNats } from '@gantry/bus/connect';
import { natsAccounts } from '@gantry/bus/server-config';
import { ensureStreams } from '@gantry/bus/streams';
import { homePath, writeAtomically } from './home.js';
import type { PartSpec } from './part.js';
import type { Secrets } from './secrets.js';

/** nats-server's configuration: who listens where, and which service may say what. */
export const natsConfig = (settings: {
  listen: string;
  storeDir: string;
  monitor?: string;
  secrets: Secrets;
}): string => {
  const users = Object.fromEntries(
    Object.entries(settings.secrets.nats).map(([name, { publicKey }]) => [name, publicKey]),
  );
  return [
    `listen: ${JSON.stringify(settings.listen)}`,
    ...(settings.monitor ? [`http: ${JSON.stringify(settings.monitor)}`] : []),
    'server_name: "gantry"',
    `jetstream { store_dir: ${JSON.stringify(settings.storeDir)}, max_memory_store: 64MB, max_file_store: 20GB }`,
    'max_payload: 8MB',
    natsAccounts(users),
    '',
  ].join('\n');
};

/** The server as a part; writes its configuration first. */
export const natsPart = (command: string, port: number, secrets: Secrets): PartSpec => {
  const file = homePath('nats', 'nats-server.conf');
  writeAtomically(
    file,
    natsConfig({ listen: `127.0.0.1:${port}`, storeDir: homePath('nats', 'store'), secrets }),
  );
  return {
    name: 'nats',
    command,
    args: ['-c', file],
    // Ready once the streams are there, so that a server that comes back with nothing is whole again.
    ready: () => makeStreams(`nats://127.0.0.1:${port}`, secrets.nats.administrator.seedFile),
  };
};

/** Makes the JetStream streams, or brings them up to date. Without a seed file for a server that has no users. */
export const makeStreams = async (url: string, seedFile?: string): Promise<void> => {
  const connection = await connectNats({ url, name: 'administrator', ...(seedFile && { seedFile }) });
  try {
    await ensureStreams(connection);
  } finally {
    await connection.close();
  }
};
