-- Read model of pulls that people asked for: filled by the projection `image-pull`, may be emptied and rebuilt.
create table :SCHEMA.image_pull (
  id uuid primary key,
  execution_environment_id uuid not null,
  digest text,
  finished boolean not null default false,
  -- The pull as queries give it (@gantry/contracts/pull, ImagePull).
  view jsonb not null
);
create index image_pull_unfinished on :SCHEMA.image_pull (id) where not finished;

-- Images that Gantry has pulled to the engine, and when a job last used them: what a clean-up may remove. Filled by the projection
-- `engine-image`, may be emptied and rebuilt.
create table :SCHEMA.engine_image (
  repository text not null,
  digest text not null,
  size_bytes bigint,
  last_used_at timestamptz not null,
  primary key (repository, digest)
);
create index engine_image_by_digest on :SCHEMA.engine_image (digest);
