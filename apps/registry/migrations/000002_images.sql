-- Images by digest, and what is in them.
create table :SCHEMA.image (
  digest       text primary key,
  -- References by which it was seen, in the order of sight.
  images       text[] not null,
  seen_at      timestamptz not null,
  inspection   text not null default 'none',
  requested_at timestamptz,
  inspected_at timestamptz,
  failure      jsonb,
  contents     jsonb
);

-- Which execution environments were this image at some time: who may see those may see it.
create table :SCHEMA.image_environment (
  digest                   text not null,
  execution_environment_id uuid not null,
  primary key (digest, execution_environment_id)
);
create index image_environment_by_environment on :SCHEMA.image_environment (execution_environment_id);

-- Every package of every image. `version_key` sorts as the versions of its kind do (package-versions.ts); null for none of them.
create table :SCHEMA.image_package (
  digest      text not null,
  kind        text not null,
  name        text not null,
  version     text not null,
  detail      text not null,
  version_key text collate "C",
  primary key (digest, kind, name, version, detail)
);
create index image_package_by_version on :SCHEMA.image_package (kind, name, version_key);
create index execution_environment_by_digest on :SCHEMA.execution_environment (digest);
