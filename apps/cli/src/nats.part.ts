/** The embedded nats-server: JetStream, a user with its own permissions for each service. */
import { connect } from 'node:net';
import { natsAccounts } from '@gantry/bus/server-config';
import { homePath, writeAtomically } from './home.js';
import type { PartSpec } from './part.js';
import type { Secrets } from './secrets.js';

/** nats-server's configuration: who listens where, and which service may say what. */
export const natsConfig = (settings: { listen: string; storeDir: string; monitor?: string; secrets: Secrets }): string => {
  const users = Object.fromEntries(Object.entries(settings.secrets.nats).map(([name, { publicKey }]) => [name, publicKey]));
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
  writeAtomically(file, natsConfig({ listen: `127.0.0.1:${port}`, storeDir: homePath('nats', 'store'), secrets }));
  return {
    name: 'nats',
    command,
    args: ['-c', file],
    ready: () =>
      new Promise((resolve, reject) => {
        const socket = connect({ port, host: '127.0.0.1' }, () => {
          socket.destroy();
          resolve();
        });
        socket.once('error', reject);
      }),
  };
};
