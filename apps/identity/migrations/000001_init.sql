-- Read models of identity; all of them can be rebuilt from event_log, but for name_claim and idempotency_key, which
-- are written together with the events they guard.

create table :SCHEMA.organization (
  id          uuid primary key,
  name        text not null,
  description text not null,
  created_at  timestamptz not null
);
create index organization_page on :SCHEMA.organization (created_at, id);

create table :SCHEMA.app_user (
  id         uuid primary key,
  username   text not null unique,
  email      text,
  superuser  boolean not null,
  auditor    boolean not null,
  created_at timestamptz not null
);
create index app_user_page on :SCHEMA.app_user (created_at, id);

create table :SCHEMA.user_role (
  user_id         uuid not null,
  organization_id uuid not null,
  role            text not null,
  primary key (user_id, organization_id, role)
);

-- Only the hash of a token: the token is 256 random bits, so the hash cannot be turned back by trying.
create table :SCHEMA.token (
  id          uuid primary key,
  user_id     uuid not null,
  description text not null,
  sha256      text not null unique,
  expires_at  timestamptz,
  revoked_at  timestamptz,
  created_at  timestamptz not null
);
create index token_by_user on :SCHEMA.token (user_id, description);

-- When a token was last seen: no event, for it happens at every request.
create table :SCHEMA.token_use (
  token_id     uuid primary key,
  last_used_at timestamptz not null
);

-- Who holds a unique name; in the transaction of the event that takes it.
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
