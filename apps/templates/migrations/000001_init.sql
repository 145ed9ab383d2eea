-- Read models of templates; those named in a projection can be rebuilt from event_log. name_claim and idempotency_key are
-- written together with the events they guard; project_archive and inventory_snapshot only remember what is stored where.

create table :SCHEMA.project (
  id                   uuid primary key,
  organization_id      uuid not null,
  name                 text not null,
  description          text not null,
  scm_url              text not null,
  scm_branch           text not null,
  scm_update_on_launch boolean not null,
  status               text not null,
  -- Of the last sync that went well.
  synced_branch        text,
  commit               text,
  archive_sha256       text,
  archive_size_bytes   bigint,
  playbooks            jsonb not null,
  last_error           text,
  synced_at            timestamptz,
  created_at           timestamptz not null
);
create index project_page on :SCHEMA.project (created_at, id);

create table :SCHEMA.inventory (
  id              uuid primary key,
  organization_id uuid not null,
  name            text not null,
  description     text not null,
  variables       jsonb not null,
  total_hosts     integer not null,
  total_groups    integer not null,
  -- Of the stream.
  version         integer not null,
  created_at      timestamptz not null
);
create index inventory_page on :SCHEMA.inventory (created_at, id);

create table :SCHEMA.inventory_host (
  inventory_id uuid not null,
  name         text collate "C" not null,
  variables    jsonb not null,
  enabled      boolean not null,
  primary key (inventory_id, name)
);

create table :SCHEMA.inventory_group (
  inventory_id uuid not null,
  name         text collate "C" not null,
  variables    jsonb not null,
  hosts        jsonb not null,
  children     jsonb not null,
  primary key (inventory_id, name)
);

create table :SCHEMA.job_template (
  id              uuid primary key,
  organization_id uuid not null,
  name            text not null,
  version         integer not null,
  settings        jsonb not null,
  created_at      timestamptz not null
);
create index job_template_page on :SCHEMA.job_template (created_at, id);
create index job_template_name on :SCHEMA.job_template (name);

create table :SCHEMA.name_claim (
  scope text not null,
  name  text not null,
  id    uuid not null,
  primary key (scope, name)
);

create table :SCHEMA.idempotency_key (
  scope text not null,
  key   text not null,
  id    uuid not null,
  primary key (scope, key)
);

create table :SCHEMA.project_archive (
  project_id uuid not null,
  commit     text not null,
  sha256     text not null,
  size_bytes bigint not null,
  primary key (project_id, commit)
);

create table :SCHEMA.inventory_snapshot (
  inventory_id uuid not null,
  version      integer not null,
  sha256       text not null,
  size_bytes   bigint not null,
  total_hosts  integer not null,
  primary key (inventory_id, version)
);
