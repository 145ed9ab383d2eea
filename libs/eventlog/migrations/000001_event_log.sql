-- The event log of one service, and how far each of its projections has read.
-- Order for readers is (transaction_id, position), below pg_snapshot_xmin: see src/log.ts.

create table :SCHEMA.event_log (
  position       bigint generated always as identity primary key,
  transaction_id xid8 not null default pg_current_xact_id(),
  stream         text not null check (stream <> ''),
  version        integer not null check (version > 0),
  id             uuid not null,
  type           text not null check (type <> ''),
  schema_version integer not null check (schema_version > 0),
  data           jsonb not null,
  meta           jsonb not null,
  at             timestamptz not null,
  previous_hash  bytea not null check (length(previous_hash) = 32),
  hash           bytea not null check (length(hash) = 32),
  constraint event_log_stream_version_key unique (stream, version),
  constraint event_log_id_key unique (id)
);

create index event_log_order on :SCHEMA.event_log (transaction_id, position);

-- Grants already refuse this to the service; the trigger refuses it to the owner as well, who may only get round it
-- by disabling the trigger, which the hash chain then gives away.
create function :SCHEMA.event_log_refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'The event log is append-only: % is refused.', tg_op using errcode = 'insufficient_privilege';
end
$$;

create trigger event_log_append_only
  before update or delete or truncate on :SCHEMA.event_log
  for each statement execute function :SCHEMA.event_log_refuse_change();

-- Also when session_replication_role is 'replica'.
alter table :SCHEMA.event_log enable always trigger event_log_append_only;

create table :SCHEMA.projection_checkpoint (
  name           text primary key,
  transaction_id xid8 not null default '0',
  position       bigint not null default 0,
  updated_at     timestamptz not null default now()
);
