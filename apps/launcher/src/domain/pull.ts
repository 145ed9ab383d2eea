/** Pulling an image: what its failures mean, which of them pass by waiting, and how often its progress is told. Pure. */
import { PlatformError } from '@gantry/contracts/errors';
import type { PullProgress } from '@gantry/contracts/job';

/** Why an image cannot be had, as `details.reason` says it; `image_pull_failed`: for a reason that we do not know. */
export const imageReasons = [
  'image_not_present',
  'image_unauthorized',
  'image_not_found',
  'image_registry_unreachable',
  'image_registry_untrusted',
  'image_no_space',
  'image_wrong_platform',
  'image_invalid',
  'image_credential',
  'image_pull_failed',
] as const;
/** Why an image cannot be had. */
export type ImageReason = (typeof imageReasons)[number];

/** Image references have the tag after the last colon behind the last slash; a digest follows an @. */
export const repositoryOf = (image: string): string => image.replace(/@.*$/, '').replace(/:[^:/]+$/, '');

/** The registry of an image; Docker's own where the reference names none. */
export const registryOf = (image: string): string => {
  const [first = '', ...rest] = image.split('/');
  return rest.length > 0 && /[.:]|^localhost$/.test(first) ? first : 'docker.io';
};

// In this order: the first that fits an engine's words. Docker Hub says "repository does not exist or may require 'docker login': denied".
const causes: readonly [RegExp, ImageReason, string][] = [
  [/no space left on device|disk quota exceeded|not enough space/i, 'image_no_space', 'the disk of the machine that runs pods is full. Free some space there (gantry ee prune removes images that nothing uses)'],
  [/no image found in (image index|manifest list)|no matching manifest for|does not match the (specified|detected host) platform/i, 'image_wrong_platform', 'its registry has it for other platforms only than the machine that runs pods. Build it for that platform'],
  [/x509|certificate|tls: (?!handshake timeout)|HTTP response to HTTPS/i, 'image_registry_untrusted', "the container engine does not trust its registry's TLS certificate. Give the engine the registry's CA certificate (docs/EXECUTION-ENVIRONMENTS.md)"],
  [/unauthorized|authentication required|no basic auth credentials|denied|403 \(?forbidden/i, 'image_unauthorized', 'its registry does not let us. Give the execution environment a registry credential that may pull it, or check the name'],
  [/manifest unknown|manifest for .* not found|name unknown|name invalid|repository does not exist|no such image|: not found/i, 'image_not_found', 'its registry has no such image. Check the name and the tag or digest'],
  [/invalid reference|must be lowercase|short-name|did not resolve to an alias/i, 'image_invalid', 'the name is not one that an engine can pull. Write registry/repository:tag'],
  [/unsupported manifest|manifest.*(unsupported|invalid|malformed)|unsupported MIME|error parsing|invalid character|unexpected end of JSON|digest (mismatch|did not match)|does(n't| not) match (the )?(expected |manifest )?digest|layer verification failed|invalid (tar|gzip) header|archive\/tar|gzip:|doesn't match (manifest|expected)/i, 'image_invalid', 'what its registry gives is not an image that the engine can use. Push it again'],
  [/no such host|connection refused|connection reset|broken pipe|no route to host|network is unreachable|unreachable|time(d )?-?out|deadline exceeded|EOF|server misbehaving|temporary failure|too many requests|toomanyrequests|\b429\b|\b50[0234]\b|internal server error|bad gateway|service unavailable/i, 'image_registry_unreachable', 'its registry cannot be reached, or cannot answer now. Check the name, and that the machine that runs pods reaches the registry'],
]; // prettier-ignore

/** Somebody else's text: one line, not too long, and without what is signed into addresses. */
const quoted = (words: string): string =>
  words
    .replace(/(https?:\/\/[^\s"'?]+)\?[^\s"']*/g, '$1')
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim()
    .slice(0, 600);

/** `refused`, with what an image's trouble is, why, and what to do; `words` are the engine's or registry's own. */
export const imageTrouble = (
  image: string,
  reason: ImageReason,
  sentence: string,
  words = '',
): PlatformError =>
  new PlatformError('refused', `${sentence}.${words === '' ? '' : ` (${quoted(words)})`}`, {
    details: { reason, image },
  });

/** Why a pull failed, by the engine's words, which stand at the sentence's end. */
export const pullFailure = (image: string, words: string): PlatformError => {
  const [, reason, sentence] = causes.find(([pattern]) => pattern.test(words)) ?? [
    null,
    'image_pull_failed' as const,
    'the engine could not fetch it',
  ];
  return imageTrouble(image, reason, `The image ${image} could not be pulled: ${sentence}`, words);
};

/** Only a registry that is away or has too much to do may be back in a moment: everything else is as it is. */
export const mayPass = (error: PlatformError): boolean =>
  error.details['reason'] === 'image_registry_unreachable';

/** 1 s after the first attempt, then three times as long each time, up to 30 s. */
export const pauseAfter = (attempt: number): number => Math.min(1_000 * 3 ** (attempt - 1), 30_000);

/** An event each two seconds at first; later, one for each tenth of the time gone by: some sixty in an hour. */
export const worthTelling = (sinceStart: number, sinceTold: number): boolean =>
  sinceTold >= Math.max(2_000, sinceStart / 10);

/** One line of an engine's report on a pull, as the Docker Engine API has it. */
export interface PullLine {
  id?: string;
  status?: string;
  progressDetail?: { current?: number; total?: number } | null;
}

interface Layer {
  done: boolean;
  bytes: number | null;
  total: number | null;
}

/** Adds up an engine's lines. `add` returns the sum after a line that is about a layer, else null. */
export const createProgress = (): { add(line: PullLine): PullProgress | null } => {
  const layers = new Map<string, Layer>();
  return {
    add: ({ id, status = '', progressDetail }) => {
      if (!id || !/^(Pulling fs layer|Waiting|Downloading|Verifying|Download complete|Extracting|Pull complete|Already exists)/.test(status)) return null; // prettier-ignore
      const layer = layers.get(id) ?? { done: false, bytes: null, total: null };
      layers.set(id, layer);
      const { current, total } = progressDetail ?? {};
      // Extracting counts anew, from nothing.
      if (status === 'Downloading' && current !== undefined)
        Object.assign(layer, { bytes: current, total: total ?? layer.total });
      if (/^(Download complete|Pull complete|Already exists)/.test(status))
        Object.assign(layer, { done: true, bytes: layer.total ?? layer.bytes });
      const all = [...layers.values()];
      const sum = (of: (layer: Layer) => number | null): number | null =>
        all.some((each) => of(each) !== null)
          ? all.reduce((total, each) => total + (of(each) ?? 0), 0)
          : null;
      return {
        layers: all.length,
        layersDone: all.filter(({ done }) => done).length,
        bytes: sum(({ bytes }) => bytes),
        bytesTotal: sum(({ total }) => total),
      };
    },
  };
};
