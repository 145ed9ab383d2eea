/** Where the pod port listens: TCP, and a Unix socket that is mounted into the pods of this host. */
import { chmod, lstat, mkdir, unlink } from 'node:fs/promises';
import type { Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { PlatformError } from '@gantry/contracts/errors';

/** Listens on TCP; returns the port (useful for port 0). */
export const listenTcp = async (
  server: Server,
  { host, port }: { host: string; port: number },
): Promise<number> => {
  await listening(server, () => server.listen(port, host));
  return (server.address() as AddressInfo).port;
};

/**
 * Listens on a socket that every user of the host may connect to (pods run as many users; the token is the lock), in a
 * folder that nobody else may write. A socket that nobody answers any more is replaced. Throws `conflict` when another
 * process listens there, or something other than a socket lies there.
 */
export const listenSocket = async (server: Server, path: string): Promise<void> => {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  const there = await lstat(path).catch(() => null);
  if (there) {
    if (!there.isSocket())
      throw new PlatformError(
        'conflict',
        `${path} is no socket: move it away, or set GANTRY_INGEST_PODS_SOCKET to another path.`,
      );
    if (await answers(path))
      throw new PlatformError('conflict', `Another process listens on ${path}: stop it first.`);
    await unlink(path);
  }
  await listening(server, () => server.listen(path));
  await chmod(path, 0o666);
};

const listening = (server: Server, listen: () => void): Promise<void> =>
  new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void =>
      reject(
        new PlatformError('refused', `Ingest cannot listen for pods: ${error.message}.`, { cause: error }),
      );
    server.once('error', fail);
    server.once('listening', () => {
      server.off('error', fail);
      resolve();
    });
    listen();
  });

const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

/** Takes no new connection, lets running calls end, cuts what is left after 5 s. */
export const stopServer = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    if (!server.listening) return resolve();
    const cut = setTimeout(() => server.closeAllConnections(), 5_000);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
