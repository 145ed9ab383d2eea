-- How far the events of each job are published on JetStream, for other systems (docs/adr/0017). Written by the publisher alone,
-- a few times a second: the transaction of a batch knows nothing of it.

-- One row: the very stream that was published to. Another one (its store was lost) is begun anew.
create table :SCHEMA.job_event_stream (
  birth         text primary key,
  last_sequence bigint not null default 0,
  -- Every record closed before this is published whole.
  swept_to      timestamptz not null
);
-- Jobs that are not over, or not yet published whole. Without a row: nothing is published, or all (`swept_to` tells).
create table :SCHEMA.job_event_cursor (
  job_id    uuid primary key,
  published integer not null
) with (fillfactor = 70);

create index job_record_closed on :SCHEMA.job_record (closed_at) where closed_at is not null;
