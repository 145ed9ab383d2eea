-- The job record: what pods say, as they said it. Chunks and the index are partitioned by the day (UTC) on which the
-- record was opened: a job lies in one partition, and retention drops partitions.

-- One row per job, updated once per batch. Nothing that a batch changes is indexed and a third of each page stays free:
-- the update is HOT.
create table :SCHEMA.job_record (
  job_id             uuid primary key,
  number             bigint generated always as identity,
  day                date not null,
  organization_id    uuid not null,
  epoch              integer not null,
  payload            jsonb not null,
  opened_at          timestamptz not null default now(),
  last_counter       integer not null default 0,
  last_line          integer not null default 0,
  chain_head         bytea not null check (length(chain_head) = 32),
  raw_bytes          bigint not null default 0,
  stored_bytes       bigint not null default 0,
  last_heard_at      timestamptz,
  agent_epoch        integer not null default 0,
  cancel_requested   boolean not null default false,
  alarms             integer not null default 0,
  stream_version     integer not null default 0,
  sealed_at          timestamptz,
  -- Data of the event record.sealed.
  seal               jsonb,
  closed_at          timestamptz
) with (fillfactor = 70);

-- Who may speak for a job: the hash of the bearer of each attempt. Old ones stay, so that a pod that was shut out is told so.
create table :SCHEMA.job_bearer (
  job_id uuid not null,
  epoch  integer not null,
  sha256 bytea not null check (length(sha256) = 32),
  primary key (job_id, epoch)
);

-- One row per batch; payload: NDJSON as the agent compressed it, codec 1 = gzip.
create table :SCHEMA.job_chunk (
  day           date not null,
  job_id        uuid not null,
  first_counter integer not null,
  last_counter  integer not null,
  first_line    integer not null,
  last_line     integer not null,
  epoch         integer not null,
  raw_length    integer not null,
  codec         smallint not null,
  received_at   timestamptz not null,
  previous_hash bytea not null,
  hash          bytea not null,
  payload       bytea not null,
  primary key (day, job_id, first_counter)
) partition by range (day);
create index job_chunk_line on :SCHEMA.job_chunk (day, job_id, first_line, first_counter);

-- One row per event that people filter by: everything but plain output and runner_on_start. Kind and outcome are numbers
-- of src/domain/index-row.ts. No text: hosts and tasks are ids of the dictionaries below.
create table :SCHEMA.job_event_index (
  job_number       bigint not null,
  counter          integer not null,
  host_id          integer,
  task_id          integer,
  duration_ms      integer,
  day              date not null,
  kind             smallint not null,
  failed           boolean not null,
  changed          boolean not null,
  primary key (job_number, counter, day)
) partition by range (day);
-- Without the counter the rows of a host in a job share one entry with a list of places (deduplication): a fifth of the size.
-- A query by host sorts what it finds, or goes by counter and leaves out the others: either is quick enough (docs/BUDGETS.md).
create index job_event_index_host on :SCHEMA.job_event_index (job_number, host_id) where host_id is not null;
create index job_event_index_failed on :SCHEMA.job_event_index (job_number, counter) where failed;

create table :SCHEMA.job_host (
  job_number bigint not null,
  host_id    integer not null,
  name       text collate "C" not null,
  primary key (job_number, host_id),
  unique (job_number, name)
);

create table :SCHEMA.job_task (
  job_number bigint not null,
  task_id    integer not null,
  uuid       text not null,
  name       text,
  play       text,
  role       text,
  primary key (job_number, task_id)
);

-- Counted from runner events while the job runs, set right by playbook_on_stats (final).
create table :SCHEMA.host_summary (
  job_number bigint not null,
  host_id    integer not null,
  ok         integer not null,
  changed    integer not null,
  failures   integer not null,
  dark       integer not null,
  skipped    integer not null,
  rescued    integer not null,
  ignored    integer not null,
  final      boolean not null,
  primary key (job_number, host_id)
) with (fillfactor = 70);

-- Nothing should ever land here (ingest makes partitions days ahead); a clock that is wrong by a week must still not stop a job.
create table :SCHEMA.job_chunk_default partition of :SCHEMA.job_chunk default;
create table :SCHEMA.job_event_index_default partition of :SCHEMA.job_event_index default;
alter table :SCHEMA.job_chunk_default alter column payload set storage external;

-- Makes the partitions of `days` days from `first` on, where they are missing. Runs with its owner's rights: the service's
-- role may make partitions through this and nothing else. Returns how many it made.
create function :SCHEMA.make_partitions(first date, days integer) returns integer
  language plpgsql security definer set search_path = pg_catalog as $$
declare
  made integer := 0;
  one  date;
  name text;
begin
  if days not between 1 and 31 or first not between current_date - 31 and current_date + 31 then
    raise exception 'make_partitions makes 1 to 31 days, within a month of today';
  end if;
  -- Replicas that start together would race for the same table.
  perform pg_advisory_xact_lock(hashtextextended('gantry-ingest-partitions', 0));
  for offset_days in 0..days - 1 loop
    one := first + offset_days;
    name := 'job_chunk_' || to_char(one, 'YYYYMMDD');
    if to_regclass(format(':SCHEMA.%I', name)) is null then
      execute format('create table :SCHEMA.%I partition of :SCHEMA.job_chunk for values from (%L) to (%L)', name, one, one + 1);
      -- The agent has compressed it: do not try again.
      execute format('alter table :SCHEMA.%I alter column payload set storage external', name);
      made := made + 1;
    end if;
    name := 'job_event_index_' || to_char(one, 'YYYYMMDD');
    if to_regclass(format(':SCHEMA.%I', name)) is null then
      execute format('create table :SCHEMA.%I partition of :SCHEMA.job_event_index for values from (%L) to (%L)', name, one, one + 1);
      made := made + 1;
    end if;
  end loop;
  return made;
end
$$;
