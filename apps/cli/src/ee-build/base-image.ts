/** The image a build begins with, down to what never changes: its digest, or its id where no registry has it. */
import { PlatformError } from '@gantry/contracts/errors';
import type Docker from 'dockerode';
import { readMessages, wordsOf } from './engine.js';
import type { Lock } from './lock.js';
import { authFor, repositoryOf } from './registry-auth.js';

/** A base image that the engine has. */
export interface BaseImage {
  /** For FROM. */
  reference: string;
  lock: Lock['base'];
  /** `linux/amd64`. */
  platform: string;
}

const look = (docker: Docker, reference: string): Promise<Docker.ImageInspectInfo | null> =>
  docker
    .getImage(reference)
    .inspect()
    .catch((error: { statusCode?: number }) => {
      if (error.statusCode === 404) return null;
      throw new PlatformError(
        'unavailable',
        `The container engine cannot look for ${reference}: ${wordsOf(error)}`,
      );
    });

const pull = async (docker: Docker, reference: string): Promise<string | undefined> => {
  try {
    const stream = await docker.pull(reference, { authconfig: authFor(reference) });
    return await readMessages(docker, stream, () => undefined);
  } catch (error) {
    return wordsOf(error);
  }
};

const idOf = (found: Docker.ImageInspectInfo): string => `sha256:${found.Id.replace(/^sha256:/, '')}`;
/** Podman makes up a registry's digest also for what was built here. */
const isLocal = (name: string): boolean => name.startsWith('localhost/');
const platformOf = (found: Docker.ImageInspectInfo): string => `${found.Os}/${found.Architecture}`;

/** The base image of a definition as it is now: pulled when the engine lacks it, or `renew` is set. Throws `refused` with the engine's words. */
export const findBase = async (docker: Docker, name: string, renew: boolean): Promise<BaseImage> => {
  let found = await look(docker, name);
  if (!isLocal(name) && (!found || renew)) {
    const failure = await pull(docker, name);
    if (failure !== undefined)
      throw new PlatformError('refused', `The base image ${name} cannot be pulled: ${failure}`, {
        details: { reason: 'base_image_unavailable' },
      });
    found = await look(docker, name);
  }
  if (!found)
    throw new PlatformError(
      'refused',
      `The base image ${name} is not on this machine, and localhost/ names no registry: build or load it first.`,
      { details: { reason: 'base_image_unavailable' } },
    );
  const known = isLocal(name) ? undefined : digestsOf(found, name)[0];
  const platform = platformOf(found);
  return known === undefined
    ? { reference: idOf(found), lock: { name, digest: idOf(found), local: true }, platform }
    : { reference: known, lock: { name, digest: known.split('@')[1]!, local: false }, platform };
};

/** The names by digest of an image, those of its repository first; engines spell short names out. */
const digestsOf = (found: Docker.ImageInspectInfo, name: string): string[] => {
  const repository = repositoryOf(name);
  const fits = (one: string): boolean => `/${one.split('@')[0]!}`.endsWith(`/${repository}`);
  return [...(found.RepoDigests ?? [])].sort((a, b) => Number(fits(b)) - Number(fits(a)));
};

/** The base image that a lock names. Throws `refused` when it cannot be had any more, or is for another platform. */
export const findLockedBase = async (docker: Docker, { base, platform }: Lock): Promise<BaseImage> => {
  const reference = base.local ? base.digest : `${repositoryOf(base.name)}@${base.digest}`;
  let found = await look(docker, reference);
  let words = 'it is not on this machine, and no registry has it';
  if (!found && !base.local) {
    words = (await pull(docker, reference)) ?? 'the engine pulled it and does not know it';
    found = await look(docker, reference);
  }
  if (!found)
    throw new PlatformError(
      'refused',
      `The base image ${base.name} (${base.digest}) of the lock cannot be had any more: ${words}`,
      { details: { reason: 'lock_unavailable' } },
    );
  if (platformOf(found) !== platform)
    throw new PlatformError(
      'refused',
      `The lock is for ${platform}; this engine builds for ${platformOf(found)}.`,
      {
        details: { reason: 'lock_platform' },
      },
    );
  return { reference, lock: base, platform };
};
