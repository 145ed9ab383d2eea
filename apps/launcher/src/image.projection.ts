/** The read models of images on the engine: pulls that people asked for, and what Gantry has pulled. */
import { parseEvent, type StoredEvent } from '@gantry/contracts/envelope';
import { JobImageCached, JobImagePulled } from '@gantry/contracts/job';
import {
  ImagePruneFinished,
  ImagePullFailed,
  ImagePullFinished,
  ImagePullProgressed,
  ImagePullRequested,
  ImagePullRetried,
  type ImagePull,
} from '@gantry/contracts/pull';
import type { Sql } from '@gantry/eventlog/sql';
import { repositoryOf } from './domain/pull.js';
import type { PullEvent } from './domain/image-pull.js';
import type { EngineImage } from './domain/prune.js';

const ofPulls = {
  ImagePullRequested,
  ImagePullProgressed,
  ImagePullRetried,
  ImagePullFinished,
  ImagePullFailed,
};

/** The projection `image-pull`. */
export const pullProjection = {
  name: 'image-pull',
  tables: ['image_pull'],
  types: Object.values(ofPulls).map(({ type }) => type),
  apply: async (stored: StoredEvent, sql: Sql): Promise<void> => {
    const event = parseEvent(ofPulls, stored);
    if (!event) return;
    if (event.type === 'image_pull.requested') {
      const { pullId, image, by } = event.data;
      const view: ImagePull = {
        id: pullId,
        executionEnvironmentId: image.executionEnvironmentId,
        organizationId: image.organizationId ?? null,
        image: image.image,
        digest: image.digest,
        status: 'running',
        progress: null,
        reason: null,
        requestedBy: by.username,
        requestedAt: stored.at,
        finishedAt: null,
        durationMilliseconds: null,
        sizeBytes: null,
      };
      await sql.query(
        `insert into launcher.image_pull (id, execution_environment_id, digest, view) values ($1, $2, $3, $4)
         on conflict (id) do nothing`,
        [pullId, view.executionEnvironmentId, view.digest, JSON.stringify(view)],
      );
      return;
    }
    const change = changeBy(event, stored.at);
    await sql.query(
      `update launcher.image_pull set view = view || $2::jsonb, finished = $3 where id = $1 and not finished`,
      [event.data.pullId, JSON.stringify(change), change.finishedAt !== undefined],
    );
  },
};

const changeBy = (
  event: Exclude<PullEvent, { type: 'image_pull.requested' }>,
  at: string,
): Partial<ImagePull> => {
  switch (event.type) {
    case 'image_pull.progressed':
      return { progress: event.data.progress, reason: null };
    case 'image_pull.retried':
      return { reason: event.data.reason };
    case 'image_pull.failed':
      return { status: 'failed', reason: event.data.reason, finishedAt: at };
    case 'image_pull.finished': {
      const { digest, pulled, durationMilliseconds, sizeBytes } = event.data;
      const status = pulled ? 'pulled' : 'cached';
      return { status, digest, durationMilliseconds, sizeBytes, reason: null, finishedAt: at };
    }
  }
};

const ofImages = { JobImagePulled, JobImageCached, ImagePullFinished, ImagePruneFinished };

/** The projection `engine-image`: an image is Gantry's to remove only if Gantry has pulled it. */
export const engineImageProjection = {
  name: 'engine-image',
  tables: ['engine_image'],
  types: Object.values(ofImages).map(({ type }) => type),
  apply: async (stored: StoredEvent, sql: Sql): Promise<void> => {
    const event = parseEvent(ofImages, stored);
    if (!event) return;
    if (event.type === 'image_prune.finished') {
      for (const { repository, digest, outcome } of event.data.images) {
        if (outcome === 'removed' || outcome === 'gone')
          await sql.query('delete from launcher.engine_image where repository = $1 and digest = $2', [
            repository,
            digest,
          ]);
      }
      return;
    }
    const { image, digest } = event.data;
    if (event.type === 'job.image_pulled' || (event.type === 'image_pull.finished' && event.data.pulled)) {
      await sql.query(
        `insert into launcher.engine_image (repository, digest, size_bytes, last_used_at) values ($1, $2, $3, $4)
         on conflict (repository, digest) do update set size_bytes = $3, last_used_at = $4`,
        [repositoryOf(image), digest, event.data.sizeBytes ?? null, stored.at],
      );
    } else {
      // Of whatever repository: it is the same image.
      await sql.query('update launcher.engine_image set last_used_at = $2 where digest = $1', [
        digest,
        stored.at,
      ]);
    }
  },
};

/** Reading them. */
export interface ImageQueries {
  pull(pullId: string): Promise<ImagePull | null>;
  /** One that is under way for this image. */
  underWay(executionEnvironmentId: string, digest: string | null): Promise<string | null>;
  unfinishedPulls(): Promise<string[]>;
  /** Everything that Gantry has pulled, the longest unused first. */
  pulled(): Promise<EngineImage[]>;
  /** Digests of the images of jobs that are not over. */
  neededByJobs(): Promise<string[]>;
}

/** Queries over the launcher's tables. */
export const createImageQueries = (pool: Sql): ImageQueries => ({
  pull: async (pullId) =>
    (await pool.query<{ view: ImagePull }>('select view from launcher.image_pull where id = $1', [pullId]))
      .rows[0]?.view ?? null,
  underWay: async (executionEnvironmentId, digest) =>
    (
      await pool.query<{ id: string }>(
        `select id::text as id from launcher.image_pull
         where not finished and execution_environment_id = $1 and digest is not distinct from $2 limit 1`,
        [executionEnvironmentId, digest],
      )
    ).rows[0]?.id ?? null,
  unfinishedPulls: async () =>
    (
      await pool.query<{ id: string }>(
        'select id::text as id from launcher.image_pull where not finished order by id',
      )
    ).rows.map(({ id }) => id),
  pulled: async () =>
    (
      await pool.query<{ repository: string; digest: string; size: string | null; at: Date }>(
        `select repository, digest, size_bytes::text as size, last_used_at as at from launcher.engine_image
         order by last_used_at, repository, digest`,
      )
    ).rows.map(({ repository, digest, size, at }) => ({
      repository,
      digest,
      sizeBytes: size === null ? null : Number(size),
      lastUsedAt: at.toISOString(),
    })),
  neededByJobs: async () =>
    (
      await pool.query<{ digest: string }>(
        `select distinct view->'pinned'->'image'->>'digest' as digest
         from launcher.unfinished_job join launcher.job on id = job_id where view->'pinned'->'image'->>'digest' is not null`,
      )
    ).rows.map(({ digest }) => digest),
});
