/**
 * Images of a container engine: there already, or pulled; and why not.
 * Verified on Podman 4.3.1 by container-images.int.spec.ts (2026-11): a failed pull answers 200 and says so in its report; an image
 * for another platform is pulled without a word; a pull that we leave may go on by itself, and the next one finds what it has fetched.
 */
import type { Readable } from 'node:stream';
import { isPlatformError, PlatformError } from '@gantry/contracts/errors';
import type Docker from 'dockerode';
import {
  createProgress,
  imageTrouble,
  pullFailure,
  registryOf,
  repositoryOf,
  type PullLine,
} from '../domain/pull.js';
import type { PodDriver, PullOptions, ReadyImage, WantedImage } from '../pod/driver.js';
import { asEngineError, messageOf, statusOf } from './engine-errors.js';

type Found = Docker.ImageInspectInfo;

/** Images of a container engine. */
export const createImages = (
  docker: Docker,
  host: string,
): Pick<PodDriver, 'ensureImage' | 'findImage' | 'removeImage'> => {
  const look = async (reference: string): Promise<Found | null> =>
    docker
      .getImage(reference)
      .inspect()
      .catch((error: unknown) => {
        if (statusOf(error) === 404 || /no such image|image not known/i.test(messageOf(error))) return null;
        throw asEngineError(error, host, 'could not look for the image');
      });
  let platform: Promise<string> | null = null;
  const enginePlatform = (): Promise<string> => {
    platform ??= docker.version().then(
      ({ Os, Arch }) => `${Os}/${Arch}`,
      (error: unknown) => {
        platform = null;
        throw asEngineError(error, host, 'could not tell its platform');
      },
    );
    return platform;
  };
  const referenceOf = ({ image, digest }: Pick<WantedImage, 'image' | 'digest'>): string =>
    digest ? `${repositoryOf(image)}@${digest}` : image;
  // Docker gives an image that no registry knows no digest but its id, and finds it by that alone.
  const find = async (wanted: Pick<WantedImage, 'image' | 'digest'>): Promise<Found | null> =>
    (await look(referenceOf(wanted))) ?? (wanted.digest ? look(wanted.digest) : null);
  // Podman fetches an image once for each who asks: ten jobs that start together are to fetch it once.
  const underWay = new Map<string, Promise<unknown>>();
  /** Null: we have pulled it. Else what another has pulled meanwhile; what failed for a reason that is theirs alone we try ourselves. */
  const pullOnce = async (reference: string, options: PullOptions): Promise<Found | null> => {
    for (let other = underWay.get(reference); other; other = underWay.get(reference)) {
      const failure = await Promise.race([other, fired(options.signal)]);
      if (options.signal.aborted) throw givenUp(reference, options.signal);
      const found = failure ? null : await look(reference);
      if (found) return found;
      if (isPlatformError(failure) && isForAll(failure)) throw failure;
    }
    const mine = pull(docker, host, reference, options).finally(() => underWay.delete(reference));
    const outcome = mine.then(
      () => null,
      (error: unknown) => error,
    );
    // Nothing is awaited between the look and this: one of those who waited goes first.
    underWay.set(reference, outcome);
    await mine;
    return null;
  };
  return {
    findImage: async (wanted) => {
      const found = await find(wanted);
      return found && { digest: wanted.digest ?? digestOf(found, repositoryOf(wanted.image)) };
    },
    ensureImage: async (wanted, options) => {
      const repository = repositoryOf(wanted.image);
      const reference = referenceOf(wanted);
      const began = performance.now();
      const ready = async (found: Found, pulled: boolean): Promise<ReadyImage> => {
        // An engine starts it all the same, and only the pod says: exec format error.
        const [its, ours] = [`${found.Os}/${found.Architecture}`, await enginePlatform()];
        if (found.Os && found.Architecture && its !== ours) throw wrongPlatform(wanted.image, its, ours);
        return {
          reference: idOf(found),
          digest: wanted.digest ?? digestOf(found, repository),
          pulled,
          durationMilliseconds: Math.round(performance.now() - began),
          sizeBytes: found.Size ?? null,
        };
      };
      const mustPull = wanted.pull === 'always' && !wanted.digest;
      const there = mustPull ? null : await find(wanted);
      if (there) return ready(there, false);
      if (wanted.pull === 'never') throw notPresent(wanted);
      options.onPull();
      const others = await pullOnce(reference, options);
      if (others) return ready(others, false);
      const found = await look(reference);
      if (!found) throw pullFailure(reference, 'the engine says it pulled the image, and does not know it');
      return await ready(found, true).catch(async (error: unknown) => {
        // It serves nobody here, and nothing would ever remove it.
        await docker
          .getImage(reference)
          .remove()
          .catch(() => undefined);
        throw error;
      });
    },
    removeImage: async (reference) => {
      try {
        await docker.getImage(reference).remove();
        return 'removed';
      } catch (error) {
        if (statusOf(error) === 404 || /no such image|image not known/i.test(messageOf(error))) return 'gone';
        throw asEngineError(error, host, 'keeps the image');
      }
    },
  };
};

/** Not so: a login that was refused, and a pull that was given up. */
const isForAll = ({ code, details }: PlatformError): boolean =>
  code === 'refused' && !['image_unauthorized', 'image_credential'].includes(String(details['reason']));

const fired = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

const notPresent = ({ image }: WantedImage): PlatformError =>
  imageTrouble(
    image,
    'image_not_present',
    `The image ${image} is not on the machine that runs pods, and its pull policy is never: put it there, or change the policy`,
  );

const wrongPlatform = (image: string, its: string, ours: string): PlatformError =>
  imageTrouble(
    image,
    'image_wrong_platform',
    `The image ${image} is made for ${its}, and the machine that runs pods is ${ours}: build it for that platform`,
  );

const idOf = (found: Found): string => (found.Id.startsWith('sha256:') ? found.Id : `sha256:${found.Id}`);

const digestOf = (found: Found, repository: string): string => {
  const named =
    (found.RepoDigests ?? []).find((name) => name.startsWith(`${repository}@`)) ?? found.RepoDigests?.[0];
  return named?.split('@')[1] ?? idOf(found);
};

const pull = async (
  docker: Docker,
  host: string,
  reference: string,
  { login, onProgress, signal }: PullOptions,
): Promise<void> => {
  const known = await login();
  const authconfig = known?.username
    ? { username: known.username, password: known.password, serveraddress: registryOf(reference) }
    : undefined;
  const report = (await docker
    .pull(reference, { abortSignal: signal, ...(authconfig ? { authconfig } : {}) })
    .catch((error: unknown) => {
      if (signal.aborted) throw givenUp(reference, signal);
      if (statusOf(error) === undefined) throw asEngineError(error, host, 'could not pull');
      throw pullFailure(reference, messageOf(error));
    })) as Readable;
  try {
    const progress = createProgress();
    for await (const line of linesOf(report)) {
      const failure = line.errorDetail?.message ?? line.error;
      if (failure !== undefined) throw pullFailure(reference, failure);
      const sum = progress.add(line);
      if (sum) onProgress(sum);
    }
  } catch (error) {
    if (signal.aborted) throw givenUp(reference, signal);
    throw error instanceof PlatformError ? error : asEngineError(error, host, 'could not pull');
  }
};

type ReportLine = PullLine & { error?: string; errorDetail?: { message?: string } };

// Not node:readline: it waits for ever when the stream is destroyed.
async function* linesOf(report: Readable): AsyncGenerator<ReportLine> {
  let rest = '';
  for await (const chunk of report.setEncoding('utf8')) {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield parse(line);
  }
  yield parse(rest);
}

const parse = (text: string): ReportLine => {
  try {
    return (JSON.parse(text) as ReportLine | null) ?? {};
  } catch {
    return {};
  }
};

const givenUp = (reference: string, signal: AbortSignal): PlatformError =>
  new PlatformError('cancelled', `Pulling ${reference} was given up.`, { cause: signal.reason });
