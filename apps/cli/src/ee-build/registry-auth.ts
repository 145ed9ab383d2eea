/** Who we are at a registry: as podman and docker know it, from their files and helpers. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { PlatformError } from '@gantry/contracts/errors';
import { z } from 'zod';

/** A login, as the engine's API takes it. */
export interface RegistryAuth {
  username: string;
  password: string;
  serveraddress: string;
}

/** The repository of a reference: without tag and digest. */
export const repositoryOf = (image: string): string => image.replace(/@.*$/, '').replace(/:[^:/]+$/, '');

/** The registry's host of a reference, with its port: `docker.io` where none is named. */
export const hostOf = (image: string): string => {
  const first = image.split('/')[0]!;
  return image.includes('/') && (/[.:]/.test(first) || first === 'localhost') ? first : 'docker.io';
};

const AuthFile = z.object({
  auths: z.record(z.string(), z.object({ auth: z.string().optional() }).nullable()).optional(),
  credHelpers: z.record(z.string(), z.string()).optional(),
  credsStore: z.string().optional(),
});

/** In podman's order. */
const files = (): string[] => {
  const { REGISTRY_AUTH_FILE: named, XDG_RUNTIME_DIR: runtime, DOCKER_CONFIG: docker } = process.env;
  if (named) return [named];
  return [
    runtime
      ? join(runtime, 'containers', 'auth.json')
      : `/run/containers/${process.getuid?.() ?? 0}/auth.json`,
    join(homedir(), '.config', 'containers', 'auth.json'),
    join(docker ?? join(homedir(), '.docker'), 'config.json'),
  ];
};

const fromHelper = (helper: string, host: string): { username: string; password: string } | null => {
  const { status, stdout } = spawnSync(`docker-credential-${helper}`, ['get'], {
    input: host,
    encoding: 'utf8',
  });
  if (status !== 0) return null;
  const read = z.object({ Username: z.string(), Secret: z.string() }).safeParse(JSON.parse(stdout));
  return read.success ? { username: read.data.Username, password: read.data.Secret } : null;
};

/** The login for an image's registry; undefined when nobody knows one. Throws `invalid` for an authentication file that cannot be read. */
export const authFor = (image: string): RegistryAuth | undefined => {
  const host = hostOf(image);
  // Docker's own registry has a name of its own in these files.
  const keys =
    host === 'docker.io' ? ['https://index.docker.io/v1/', 'docker.io'] : [host, `https://${host}`];
  const repository = repositoryOf(image);
  // Podman also knows logins of a part of a registry: the longest that fits counts.
  const parts = repository.split('/').map((_, index, all) => all.slice(0, all.length - index).join('/'));
  for (const file of files().filter((one) => existsSync(one))) {
    const read = AuthFile.safeParse(parse(file));
    if (!read.success)
      throw new PlatformError('invalid', `${file} is not an authentication file of docker or podman.`);
    const { auths = {}, credHelpers = {}, credsStore } = read.data;
    const auth = [...parts, ...keys].map((key) => auths[key]?.auth).find(Boolean);
    if (auth) {
      const [, username, password] = /^([^:]*):([\s\S]*)$/.exec(Buffer.from(auth, 'base64').toString()) ?? [];
      if (username !== undefined)
        return { username, password: password!.replace(/\0+$/, ''), serveraddress: host };
    }
    const helper = credHelpers[host] ?? (keys.some((key) => key in auths) ? credsStore : undefined);
    const login = helper ? fromHelper(helper, keys[0]!) : null;
    if (login) return { ...login, serveraddress: host };
  }
  return undefined;
};

const parse = (file: string): unknown => {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return null;
  }
};
