/** Gantry's own services as parts: one process for all, or a process each (GANTRY_PROCESSES=separate). */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serviceNames } from '@gantry/contracts/command';
import { homePath, ROOT, TOKEN_FILE, type Machine } from './home.js';
import type { PartSpec } from './part.js';
import type { Ports } from './ports.js';
import type { Secrets } from './secrets.js';

/** What the services need to know. */
export interface ServiceSettings {
  machine: Machine;
  ports: Ports;
  secrets: Secrets;
  natsUrl: string;
  /** Whether `natsUrl` is the embedded server, which knows our keys. */
  natsIsOurs: boolean;
  /** Each service's own login, by service. */
  postgresUrls: Record<string, string>;
  separate: boolean;
}

/** Address of a service's health. */
export const healthUrl = (ports: Ports, service: string): string => `http://127.0.0.1:${ports[service]}`;

/** The environment of the services: docs/CONFIGURATION.md has the table. What the caller's environment says already wins. */
const environment = ({
  machine,
  ports,
  secrets,
  natsUrl,
  natsIsOurs,
  postgresUrls,
}: ServiceSettings): Record<string, string> => {
  const socket = join(podsSocketFolder(), 'ingest.sock');
  mkdirSync(homePath('data', 'templates'), { recursive: true });
  const built = join(ROOT, 'apps', 'web', 'dist');
  const own: Record<string, string> = {
    GANTRY_NATS_URL: natsUrl,
    GANTRY_GATEWAY_WEB_DIR: built,
    GANTRY_IDENTITY_SIGNING_KEY_FILE: secrets.signingKeyFile,
    GANTRY_IDENTITY_ADMIN_TOKEN_FILE: TOKEN_FILE,
    GANTRY_TEMPLATES_DATA_DIR: homePath('data', 'templates'),
    GANTRY_VAULT_KEY_FILE: secrets.vaultKeyFile,
    GANTRY_REGISTRY_LOCAL_EE_IMAGE: machine.eeImage,
    GANTRY_LAUNCHER_CONTAINER_HOST: machine.engine.socket,
    GANTRY_LAUNCHER_PODS_URL: `unix://${socket}`,
    GANTRY_LAUNCHER_POD_TOKEN_KEY_FILE: secrets.podTokenKeyFile,
    GANTRY_LAUNCHER_POD_NETWORK: machine.engine.network,
    GANTRY_LAUNCHER_AGENT_FILE: join(ROOT, 'apps', 'agent', 'agent.py'),
    GANTRY_LAUNCHER_INSPECTOR_FILE: join(ROOT, 'apps', 'agent', 'inspect_image.py'),
    GANTRY_INGEST_PODS_HTTP: `127.0.0.1:${ports['pods']}`,
    GANTRY_INGEST_PODS_SOCKET: socket,
    // The token file was lost: identity makes another token for it.
    ...(existsSync(TOKEN_FILE) ? {} : { GANTRY_IDENTITY_REISSUE_ADMIN_TOKEN: '1' }),
  };
  for (const name of serviceNames) {
    const prefix = `GANTRY_${name.toUpperCase()}`;
    own[`${prefix}_HTTP`] = `127.0.0.1:${ports[name]}`;
    if (natsIsOurs) own[`${prefix}_NATS_SEED_FILE`] = secrets.nats[name].seedFile;
    if (postgresUrls[name]) own[`${prefix}_POSTGRES_URL`] = postgresUrls[name];
  }
  return Object.fromEntries(Object.entries(own).map(([name, value]) => [name, process.env[name] ?? value]));
};

/** The folder that is mounted into pods. A socket's path may have 107 bytes, so a deep home gets one elsewhere. */
const podsSocketFolder = (): string => {
  const usual = homePath('run', 'pods');
  const folder =
    usual.length < 90
      ? usual
      : join(tmpdir(), `gantry-pods-${createHash('sha256').update(usual).digest('hex').slice(0, 12)}`);
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  return folder;
};

/** Every service answers that it is ready. */
const ready = async (ports: Ports, names: readonly string[]): Promise<void> => {
  await Promise.all(
    names.map(async (name) => {
      const answer = await fetch(`${healthUrl(ports, name)}/readyz`, { signal: AbortSignal.timeout(2_000) });
      if (!answer.ok) throw new Error(`${name} is not ready`);
    }),
  );
};

/** The services as parts, to be started together. */
export const serviceParts = (settings: ServiceSettings): PartSpec[] => {
  const env = environment(settings);
  const node = (script: string) => ({
    command: process.execPath,
    args: ['--enable-source-maps', script],
    env,
  });
  if (!settings.separate) {
    const script = fileURLToPath(new URL('./all-in-one.js', import.meta.url));
    return [{ name: 'services', ...node(script), ready: () => ready(settings.ports, serviceNames) }];
  }
  return serviceNames.map((name) => ({
    name,
    ...node(join(ROOT, 'apps', name, 'dist', 'main.js')),
    ready: () => ready(settings.ports, [name]),
  }));
};
