/** Images of a container engine: there already, or pulled; and why not. */
import { PlatformError } from '@gantry/contracts/errors';
import type Docker from 'dockerode';
import type { PodDriver, ReadyImage, WantedImage } from '../pod/driver.js';
import { asEngineError, messageOf, statusOf } from './engine-errors.js';

/** Image references have the tag after the last colon behind the last slash; a digest follows an @. */
export const repositoryOf = (image: string): string => image.replace(/@.*$/, '').replace(/:[^:/]+$/, '');

const causes: readonly [RegExp, string, string][] = [
  [/unauthorized|authentication required|access to the resource is denied|denied/i, 'image_unauthorized', 'its registry does not let us. Give the execution environment a registry credential, or check the name'],
  [/manifest unknown|name unknown|not found|no such image|repository does not exist/i, 'image_not_found', 'its registry has no such image. Check the name and the tag'],
  [/invalid reference|must be lowercase|short-name|did not resolve to an alias/i, 'image_invalid', 'the name is not one that an engine can pull. Write registry/repository:tag'],
  [/no such host|connection refused|timeout|timed out|unreachable|x509|EOF|connection reset|HTTP response to HTTPS|server misbehaving|temporary failure/i, 'image_registry_unreachable', 'its registry does not answer. Check the name, and that the machine that runs pods reaches the registry'],
]; // prettier-ignore

/** Why a pull failed, as a sentence with the engine's words at its end. */
export const pullFailure = (image: string, words: string): PlatformError => {
  const [, reason, sentence] = causes.find(([pattern]) => pattern.test(words)) ?? [
    null,
    'image_pull_failed',
    'the engine could not fetch it',
  ];
  return new PlatformError(
    'refused',
    `The image ${image} could not be pulled: ${sentence}. (${words.trim()})`,
    { details: { reason, image } },
  );
};

/** `PodDriver.ensureImage` for a container engine. */
export const createImages = (docker: Docker, host: string): PodDriver['ensureImage'] => {
  const look = async (reference: string): Promise<Docker.ImageInspectInfo | null> =>
    docker
      .getImage(reference)
      .inspect()
      .catch((error: unknown) => {
        if (statusOf(error) === 404 || /no such image|image not known/i.test(messageOf(error))) return null;
        throw asEngineError(error, host, 'could not look for the image');
      });
  return async (wanted, { onPull, signal }) => {
    const repository = repositoryOf(wanted.image);
    const reference = wanted.digest ? `${repository}@${wanted.digest}` : wanted.image;
    const began = performance.now();
    const ready = (found: Docker.ImageInspectInfo, pulled: boolean): ReadyImage => ({
      reference: idOf(found),
      digest: wanted.digest ?? digestOf(found, repository),
      pulled,
      durationMilliseconds: Math.round(performance.now() - began),
    });
    const mustPull = wanted.pull === 'always' && !wanted.digest;
    const there = mustPull ? null : await look(reference);
    if (there) return ready(there, false);
    if (wanted.pull === 'never') throw notPresent(wanted);
    onPull();
    await pull(docker, host, reference, signal);
    const found = await look(reference);
    if (!found) throw pullFailure(reference, 'the engine says it pulled the image, and does not know it');
    return ready(found, true);
  };
};

const notPresent = ({ image }: WantedImage): PlatformError =>
  new PlatformError(
    'refused',
    `The image ${image} is not on the machine that runs pods, and its pull policy is never: put it there, or change the policy.`,
    {
      details: { reason: 'image_not_present', image },
    },
  );

const idOf = (found: Docker.ImageInspectInfo): string =>
  found.Id.startsWith('sha256:') ? found.Id : `sha256:${found.Id}`;

const digestOf = (found: Docker.ImageInspectInfo, repository: string): string => {
  const named =
    (found.RepoDigests ?? []).find((name) => name.startsWith(`${repository}@`)) ?? found.RepoDigests?.[0];
  return named?.split('@')[1] ?? idOf(found);
};

const pull = async (docker: Docker, host: string, reference: string, signal: AbortSignal): Promise<void> => {
  try {
    const progress: NodeJS.ReadableStream = await docker.pull(reference, { abortSignal: signal });
    let failure: string | undefined;
    await new Promise<void>((resolve, reject) => {
      docker.modem.followProgress(
        progress,
        (error: Error | null) => (error ? reject(error) : resolve()),
        (line: { error?: string; errorDetail?: { message?: string } }) =>
          (failure ??= line.errorDetail?.message ?? line.error),
      );
    });
    if (failure !== undefined) throw pullFailure(reference, failure);
  } catch (error) {
    if (signal.aborted)
      throw new PlatformError('cancelled', `Pulling ${reference} was given up.`, { cause: error });
    if (error instanceof PlatformError) throw error;
    if (statusOf(error) === undefined && !/errorDetail|pull/i.test(messageOf(error)))
      throw asEngineError(error, host, 'could not pull');
    throw pullFailure(reference, messageOf(error));
  }
};
