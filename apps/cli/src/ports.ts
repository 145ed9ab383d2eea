/** Ports on loopback: preferred ones where they are free, others where not; kept for the next start. */
import { createServer } from 'node:net';
import { PlatformError } from '@gantry/contracts/errors';
import { serviceNames } from '@gantry/contracts/command';
import { homePath, readJson, writeAtomically } from './home.js';

/** Preferred ports; none of them is a well-known service's. */
const preferred: Record<string, number> = {
  gateway: 4480,
  pods: 4481,
  postgres: 4482,
  nats: 4483,
  git: 4484,
  ...Object.fromEntries(
    serviceNames.filter((name) => name !== 'gateway').map((name, index) => [name, 4490 + index]),
  ),
};

/** A port by the name of who listens on it. */
export type Ports = Record<keyof typeof preferred, number>;

/** Is nobody listening there? */
export const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });

/**
 * The ports of this installation. What it listens on when it starts must be free: call it when nothing of ours runs.
 * GANTRY_PORT fixes the gateway's; then a port that is taken is `refused`.
 */
export const choosePorts = async (): Promise<Ports> => {
  const file = homePath('ports.json');
  const kept = readJson<Partial<Ports>>(file, {});
  const ports: Ports = {};
  const fixed = process.env['GANTRY_PORT'];
  for (const name of Object.keys(preferred)) {
    if (name === 'gateway' && fixed) {
      if (!(await isFree(Number(fixed))))
        throw new PlatformError('refused', `GANTRY_PORT=${fixed}: somebody else listens there.`);
      ports[name] = Number(fixed);
      continue;
    }
    // Git's port stands in the demo project's URL: it is only given up for another's sake.
    ports[name] = await freePort(kept[name] ?? preferred[name]!, Object.values(ports));
  }
  writeAtomically(file, `${JSON.stringify(ports, null, 2)}\n`, 0o644);
  return ports;
};

/** The ports as chosen at the last start. */
export const readPorts = (): Ports => readJson<Ports>(homePath('ports.json'), {});

const freePort = async (wanted: number, taken: number[]): Promise<number> => {
  for (let port = wanted; port < wanted + 2_000; port += 20) {
    if (!taken.includes(port) && (await isFree(port))) return port;
  }
  throw new PlatformError('unavailable', `No free port on 127.0.0.1 from ${wanted} upwards.`);
};
