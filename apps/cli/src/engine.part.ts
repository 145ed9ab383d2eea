/** The API of a podman of our own, which trusts the same registries as the registry service does, and knows the same mirrors. */
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PlatformError } from '@gantry/contracts/errors';
import { homePath, type Machine } from './home.js';
import type { PartSpec } from './part.js';

/** The engine as a part; null where the engine is not ours to start: its owner tells it whom to trust. */
export const enginePart = ({ managed, service, socket }: Machine['engine']): PartSpec | null => {
  if (!managed || !service) return null;
  const file = fileURLToPath(socket.replace(/^unix:/, 'file:'));
  rmSync(file, { force: true });
  return {
    name: 'engine',
    ...service,
    env: { ...service.env, ...registryTrust() },
    // Its container monitors leave marks in the folder they are started in.
    cwd: homePath('run'),
    ready: async () => {
      if (!existsSync(file)) throw new Error(`${file} is not there yet`);
    },
  };
};

/** Environment of a podman: it trusts and mirrors what GANTRY_REGISTRY_CA_FILE and GANTRY_REGISTRY_MIRRORS say. Throws `invalid` for a file that cannot be read. */
export const registryTrust = (): Record<string, string> => ({
  ...trust(process.env['GANTRY_REGISTRY_CA_FILE']),
  ...mirrors(),
});

/** Where Go programs look for authorities besides the system's one file (crypto/x509, root_linux.go). */
const authorityFolders = '/etc/ssl/certs:/etc/pki/tls/certs';

const trust = (caFile: string | undefined): Record<string, string> => {
  if (!caFile) return {};
  const folder = homePath('run', 'registry-ca');
  mkdirSync(folder, { recursive: true });
  try {
    copyFileSync(caFile, join(folder, 'ca.pem'));
  } catch (cause) {
    throw new PlatformError(
      'invalid',
      `GANTRY_REGISTRY_CA_FILE names ${caFile}, which cannot be read: ${(cause as Error).message}.`,
      { cause },
    );
  }
  return { SSL_CERT_DIR: `${folder}:${process.env['SSL_CERT_DIR'] ?? authorityFolders}` };
};

const mirrors = (): Record<string, string> => {
  const given = process.env['GANTRY_REGISTRY_MIRRORS'];
  if (!given) return {};
  mkdirSync(homePath('run'), { recursive: true });
  const file = homePath('run', 'registries.conf');
  const system = process.env['CONTAINERS_REGISTRIES_CONF'] ?? '/etc/containers/registries.conf';
  writeFileSync(file, registriesConf(given, existsSync(system) ? readFileSync(system, 'utf8') : ''));
  return { CONTAINERS_REGISTRIES_CONF: file };
};

/**
 * podman's configuration with mirrors added to what there was. Of what is not `{"registry": ["mirror"]}` nothing is taken: the
 * registry service, which reads the same variable, says what is wrong with it.
 */
export const registriesConf = (given: string, before: string): string => {
  let parsed: unknown;
  try {
    parsed = JSON.parse(given);
  } catch {
    return before;
  }
  const name = (text: unknown): text is string => typeof text === 'string' && /^[\w.:[\]-]+$/.test(text);
  const tables = Object.entries((parsed ?? {}) as Record<string, unknown>)
    .filter(([registry, hosts]) => name(registry) && Array.isArray(hosts))
    .map(([registry, hosts]) =>
      [
        '[[registry]]',
        `prefix = "${registry}"`,
        `location = "${registry}"`,
        ...(hosts as unknown[])
          .filter(name)
          .flatMap((host) => ['[[registry.mirror]]', `location = "${host}"`]),
      ].join('\n'),
    );
  return [before.trimEnd(), ...tables].filter((part) => part !== '').join('\n\n') + '\n';
};
