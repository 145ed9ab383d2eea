/** A port for a test's server. */
import { createServer } from 'node:net';

/** Below what systems give to outgoing connections (Linux: 32768 upwards): nobody gets one of these by accident. */
const [FIRST, LAST] = [20_000, 32_000];

const given = new Set<number>();

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });

/** A loopback TCP port that nobody listens on now; never the same twice in a process. Use it at once. */
export const freePort = async (): Promise<number> => {
  for (let tries = 0; tries < 1_000; tries++) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST));
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
  throw new Error(`No free port on 127.0.0.1 between ${FIRST} and ${LAST}.`);
};
