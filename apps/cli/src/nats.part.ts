/** The embedded nats-server: JetStream, a user with its own permissions for each service. */
import { connect } from 'node:net';
import { natsAccounts } from '@gantry/bus/server-config';
import { homePath, writeAtomically } from './home.js';
import type { PartSpec } from './part.js';
import type { Secrets } from './secrets.js';

/** The server as a part; writes its configuration first. */
export const natsPart = (command: string, port: number, secrets: Secrets): PartSpec => {
  const users = Object.fromEntries(Object.entries(secrets.nats).map(([name, { publicKey }]) => [name, publicKey]));
  const file = homePath('nats', 'nats-server.conf');
  const config = [
    `listen: "127.0.0.1:${port}"`,
    'server_name: "gantry"',
    `jetstream { store_dir: ${JSON.stringify(homePath('nats', 'store'))}, max_memory_store: 64MB, max_file_store: 20GB }`,
    'max_payload: 8MB',
    natsAccounts(users),
  ];
  writeAtomically(file, `${config.join('\n')}\n`);
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
