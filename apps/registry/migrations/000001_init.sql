-- Read model of execution environments.
create table :SCHEMA.execution_environment (
  id              uuid primary key,
  name            text not null,
  description     text not null,
  organization_id uuid,
  image           text not null,
  pull            text,
  credential_id   uuid,
  managed         boolean not null,
  is_default      boolean not null default false,
  digest          text,
  created_at      timestamptz not null
);
create index execution_environment_by_name on :SCHEMA.execution_environment (name, id);
create unique index execution_environment_default on :SCHEMA.execution_environment (is_default) where is_default;

-- A name belongs to one execution environment, as in AWX; written with the event, so that two cannot have it.
create table :SCHEMA.execution_environment_name (
  name                     text primary key,
  execution_environment_id uuid not null
);

create table :SCHEMA.idempotency_key (
  scope text not null,
  key   text not null,
  id    uuid not null,
  primary key (scope, key)
);
