/** `gantry ee pull` and `gantry ee prune`: images on the engine, before a job needs them and when nothing does any more. */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { PlatformError } from '@gantry/contracts/errors';
import { findEndpoint, request, type Endpoint } from './client.js';
import { REFUSED, refuse, type Refusal } from './ee-settings.js';
import { findEe } from './find.js';
import { exitCodes, paint, print, printJson, table } from './terminal.js';

interface Pull {
  id: string;
  image: string;
  digest: string | null;
  status: 'RUNNING' | 'PULLED' | 'CACHED' | 'FAILED';
  progress: {
    layers: number;
    layersDone: number;
    bytes: number | null;
    bytesTotal: number | null;
  } | null;
  reason: { code: string; message: string } | null;
  durationMilliseconds: number | null;
  sizeBytes: number | null;
}
interface Pruned {
  repository: string;
  digest: string;
  sizeBytes: number | null;
  lastUsedAt: string;
  outcome: 'REMOVED' | 'GONE' | 'IN_USE' | 'WOULD_BE_REMOVED';
  words: string | null;
}

const PULL = `id image digest status progress { layers layersDone bytes bytesTotal } reason { code message }
  durationMilliseconds sizeBytes`;
const lookMilliseconds = 500;
const megabytes = (bytes: number): string => `${(bytes / 1_000_000).toFixed(1)} MB`;

/** `gantry ee pull`: waits for its end unless told not to. Exit code 1 when the image cannot be had. */
export const pullCommand = async (
  named: string,
  options: { detach?: boolean; json?: boolean },
): Promise<number> => {
  const endpoint = findEndpoint();
  const input = { id: await findEe(endpoint, named), idempotencyKey: randomUUID() };
  const { started } = await request<{ started: { pull: Pull } & Refusal }>(
    endpoint,
    `mutation ($input: PullExecutionEnvironmentInput!) { started: pullExecutionEnvironment(input: $input) {
      ... on StartedImagePull { pull { ${PULL} } } ${REFUSED} } }`,
    { input },
  );
  refuse(started);
  const pull = options.detach ? started.pull : await follow(endpoint, started.pull, !options.json);
  if (options.json) printJson(pull);
  else print(told(pull));
  return pull.status === 'FAILED' ? exitCodes.failed : exitCodes.ok;
};

const follow = async (endpoint: Endpoint, pull: Pull, aloud: boolean): Promise<Pull> => {
  let [seen, said] = [pull, ''];
  while (seen.status === 'RUNNING') {
    await pause(lookMilliseconds);
    const { imagePull } = await request<{ imagePull: Pull | null }>(
      endpoint,
      `query ($id: ID!) { imagePull(id: $id) { ${PULL} } }`,
      { id: pull.id },
    );
    if (!imagePull) throw new PlatformError('not_found', `The pull ${pull.id} is not yours to see any more.`);
    seen = imagePull;
    const line = seen.status === 'RUNNING' ? told(seen) : said;
    if (aloud && line !== said) print(paint.dim((said = line)));
  }
  return seen;
};

const told = ({ status, image, digest, progress, reason, durationMilliseconds, sizeBytes }: Pull): string => {
  switch (status) {
    case 'RUNNING': {
      if (reason) return `Trying again: ${reason.message}`;
      if (!progress) return `Pulling ${image}`;
      const { layers, layersDone, bytes, bytesTotal } = progress;
      const size =
        bytes === null
          ? ''
          : `, ${megabytes(bytes)}${bytesTotal === null ? '' : ` of ${megabytes(bytesTotal)}`}`;
      return `Pulling ${image}: ${layersDone} of ${layers} layers${size}`;
    }
    case 'CACHED':
      return `${image} is there: ${digest}`;
    case 'PULLED':
      return `${image} is pulled in ${((durationMilliseconds ?? 0) / 1_000).toFixed(1)} s${sizeBytes === null ? '' : `, ${megabytes(sizeBytes)}`}: ${digest}`;
    case 'FAILED':
      return paint.red(reason?.message ?? `${image} cannot be had.`);
  }
};

/** `gantry ee prune`. */
export const pruneCommand = async (options: {
  keepDays: number;
  dryRun?: boolean;
  json?: boolean;
}): Promise<number> => {
  const { pruned } = await request<{ pruned: { images: Pruned[] } & Refusal }>(
    findEndpoint(),
    `mutation ($input: PruneImagesInput!) { pruned: pruneImages(input: $input) {
      ... on PrunedImages { images { repository digest sizeBytes lastUsedAt outcome words } } ${REFUSED} } }`,
    { input: { keepDays: options.keepDays, dryRun: options.dryRun ?? false } },
  );
  refuse(pruned);
  const { images } = pruned;
  if (options.json) return (printJson(images), exitCodes.ok);
  if (images.length === 0) return (print('There is nothing to remove.'), exitCodes.ok);
  const rows = images.map(({ repository, digest, sizeBytes, lastUsedAt, outcome, words }) => [
    `${repository}@${digest.slice(0, 19)}`,
    sizeBytes === null ? '' : megabytes(sizeBytes),
    lastUsedAt.slice(0, 10),
    outcome.toLowerCase().replaceAll('_', ' ') + (words ? `: ${words}` : ''),
  ]);
  print(
    table(
      ['image', 'size', 'last used', options.dryRun ? 'what a clean-up would do' : 'what became of it'],
      rows,
    ),
  );
  return exitCodes.ok;
};
