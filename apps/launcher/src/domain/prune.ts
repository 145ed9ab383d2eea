/** Which images may go. Pure: nothing here asks an engine. */
import type { PrunedImage } from '@gantry/contracts/pull';

/** An image that Gantry has pulled. */
export type EngineImage = Pick<PrunedImage, 'repository' | 'digest' | 'sizeBytes' | 'lastUsedAt'>;

/** What must stay. */
export interface Needed {
  /** What execution environments mean now; without a digest, every image of that repository. */
  current: readonly { repository: string; digest: string | null }[];
  /** Digests of the images of jobs that are not over. */
  jobs: readonly string[];
}

const day = 24 * 60 * 60 * 1_000;

/** Those that nothing needs and that nobody has used since `keepDays` days before `now` (milliseconds since the epoch). */
export const mayGo = (
  images: readonly EngineImage[],
  { current, jobs }: Needed,
  keepDays: number,
  now: number,
): EngineImage[] => {
  const digests = new Set([...jobs, ...current.map(({ digest }) => digest)]);
  const undetermined = new Set(
    current.filter(({ digest }) => digest === null).map(({ repository }) => repository),
  );
  return images.filter(
    ({ repository, digest, lastUsedAt }) =>
      !digests.has(digest) && !undetermined.has(repository) && Date.parse(lastUsedAt) <= now - keepDays * day,
  );
};
