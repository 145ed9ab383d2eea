-- Settings have a version, what an image means is dated, and its history is kept.
alter table :SCHEMA.execution_environment
  add column version      integer not null default 1,
  add column digest_since timestamptz,
  add column platforms    jsonb;

create table :SCHEMA.execution_environment_digest (
  execution_environment_id uuid not null,
  -- Of the stream: in the order of what happened.
  version                  integer not null,
  image                    text not null,
  digest                   text not null,
  source                   text,
  platforms                jsonb,
  since                    timestamptz not null,
  until                    timestamptz,
  primary key (execution_environment_id, version)
);

-- When an image's registry was asked and is to be asked next, and what the last job was given. No events, for it happens at every
-- launch; lost, it comes again.
create table :SCHEMA.execution_environment_lookup (
  execution_environment_id uuid primary key,
  next_at                  timestamptz,
  asked_at                 timestamptz,
  failure                  text,
  words                    text,
  used_image               text,
  used_digest              text,
  used_at                  timestamptz
);
