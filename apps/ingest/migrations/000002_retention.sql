-- Retention (docs/adr/0016). `day`, the partition key of chunks and index, is from now on the day (UTC) on which the rule in
-- force at the opening first lets a job go; with no rule the day of its opening a thousand years on. Rows from before keep the
-- day of their opening. Whoever reads takes the key from job_record and need not know.

alter table :SCHEMA.job_record
  add column job_template_id uuid,
  -- Where its archive lies: {location, key, sha256, sizeBytes, archivedAt}. Written after it was read back and compared.
  add column archive         jsonb,
  -- Its chunks and index rows are gone, or about to go: nobody reads them any more.
  add column dropped_at      timestamptz,
  add column dropped_by      text,
  -- Its dictionaries and host summaries are gone as well.
  add column pruned_at       timestamptz;

-- Nothing in these that a batch changes: the update of a batch stays HOT.
create index job_record_day on :SCHEMA.job_record (day, job_id);
create index job_record_open on :SCHEMA.job_record (day) where closed_at is null;
create index job_record_prune on :SCHEMA.job_record (dropped_at) where dropped_at is not null and pruned_at is null;

-- What lies in a partition, of jobs that are over, by whom and since when: what retention decides by, without a look at each
-- job. No template is the nil UUID.
create table :SCHEMA.record_usage (
  day             date not null,
  organization_id uuid not null,
  job_template_id uuid not null,
  ended_on        date not null,
  jobs            bigint not null,
  raw_bytes       bigint not null,
  stored_bytes    bigint not null,
  primary key (day, organization_id, job_template_id, ended_on)
);
insert into :SCHEMA.record_usage
  select day, organization_id, '00000000-0000-0000-0000-000000000000', (closed_at at time zone 'utc')::date, count(*), sum(raw_bytes), sum(stored_bytes)
  from :SCHEMA.job_record where closed_at is not null group by 1, 2, 4;

create function :SCHEMA.count_record_usage() returns trigger language plpgsql as $$
declare
  ended date := (new.closed_at at time zone 'utc')::date;
  template uuid := coalesce(new.job_template_id, '00000000-0000-0000-0000-000000000000');
begin
  if new.closed_at is null then
    return null;
  end if;
  if old.closed_at is not null then
    if old.day = new.day then
      return null;
    end if;
    update :SCHEMA.record_usage set jobs = jobs - 1, raw_bytes = raw_bytes - old.raw_bytes, stored_bytes = stored_bytes - old.stored_bytes
      where day = old.day and organization_id = old.organization_id and job_template_id = template and ended_on = ended;
  end if;
  insert into :SCHEMA.record_usage as usage values (new.day, new.organization_id, template, ended, 1, new.raw_bytes, new.stored_bytes)
    on conflict (day, organization_id, job_template_id, ended_on) do update
    set jobs = usage.jobs + 1, raw_bytes = usage.raw_bytes + excluded.raw_bytes, stored_bytes = usage.stored_bytes + excluded.stored_bytes;
  return null;
end
$$;
-- Not for the update of a batch: that names neither column.
create trigger job_record_usage after update of closed_at, day on :SCHEMA.job_record
  for each row execute function :SCHEMA.count_record_usage();

-- Read model of the rules. Without a template (the nil UUID) a rule is for the organization. keep_days 0: for ever.
create table :SCHEMA.retention_rule (
  organization_id uuid not null,
  job_template_id uuid not null,
  keep_days       integer not null check (keep_days >= 0),
  set_at          timestamptz not null,
  set_by          text not null,
  primary key (organization_id, job_template_id)
);

create function :SCHEMA.partition_lock(key date) returns bigint language sql immutable set search_path = pg_catalog as
  $$ select hashtextextended('gantry-ingest-partition-' || (key - date '2000-01-01'), 0) $$;

-- Makes one day's partitions where they are missing. A table is made apart and attached: unlike `create table ... partition
-- of`, this waits for no reader or writer of the other partitions, and none waits for it.
create function :SCHEMA.make_partition(key date) returns integer
  language plpgsql security definer set search_path = pg_catalog as $$
declare
  parent text;
  name   text;
  made   integer := 0;
begin
  foreach parent in array array['job_chunk', 'job_event_index'] loop
    name := parent || '_' || to_char(key, 'YYYYMMDD');
    continue when to_regclass(format(':SCHEMA.%I', name)) is not null;
    -- Replicas would race for the same table.
    perform pg_advisory_xact_lock(hashtextextended('gantry-ingest-partitions', 0));
    continue when to_regclass(format(':SCHEMA.%I', name)) is not null;
    execute format('create table :SCHEMA.%I (like :SCHEMA.%I including all)', name, parent);
    if parent = 'job_chunk' then
      -- The agent has compressed it: do not try again.
      execute format('alter table :SCHEMA.%I alter column payload set storage external', name);
    end if;
    execute format('alter table :SCHEMA.%I attach partition :SCHEMA.%I for values from (%L) to (%L)', parent, name, key, key + 1);
    made := 1;
  end loop;
  return made;
end
$$;

-- Partitions for everything can only be made, detached or dropped without a lock on all of them when there is none for the
-- rest. A record is opened together with its partition (hold_partition), so there is no rest.
alter table :SCHEMA.job_chunk detach partition :SCHEMA.job_chunk_default;
alter table :SCHEMA.job_event_index detach partition :SCHEMA.job_event_index_default;
do $$
declare
  key date;
begin
  for key in select day from :SCHEMA.job_chunk_default union select day from :SCHEMA.job_event_index_default loop
    perform :SCHEMA.make_partition(key);
  end loop;
  insert into :SCHEMA.job_chunk select * from :SCHEMA.job_chunk_default;
  insert into :SCHEMA.job_event_index select * from :SCHEMA.job_event_index_default;
end
$$;
drop table :SCHEMA.job_chunk_default, :SCHEMA.job_event_index_default;

-- Nobody but the functions below makes a partition of any day.
revoke execute on function :SCHEMA.make_partition(date) from public;

create or replace function :SCHEMA.make_partitions(first date, days integer) returns integer
  language plpgsql security definer set search_path = pg_catalog as $$
declare
  made integer := 0;
begin
  if days not between 1 and 31 or first not between current_date - 31 and current_date + 31 then
    raise exception 'make_partitions makes 1 to 31 days, within a month of today';
  end if;
  for offset_days in 0..days - 1 loop
    made := made + :SCHEMA.make_partition(first + offset_days);
  end loop;
  return made;
end
$$;

-- The caller is about to put a job into this partition: it is there, and it is neither emptied nor dropped, until the
-- caller's transaction ends.
create function :SCHEMA.hold_partition(key date) returns void
  language plpgsql security definer set search_path = pg_catalog as $$
begin
  if key not between current_date - 31 and current_date + 400000 then
    raise exception 'hold_partition: % is neither near nor a thousand years on', key;
  end if;
  perform pg_advisory_xact_lock_shared(:SCHEMA.partition_lock(key));
  perform :SCHEMA.make_partition(key);
end
$$;

-- Empties a partition at once, freeing its disk. Takes no lock but on this day's two tables, and gives up after 100 ms: false
-- means that somebody reads it, or that a job is being put into it; try again. Refuses while one record in it is not dropped:
-- what runs, or is to be kept, cannot be cut by a mistake of the service.
create function :SCHEMA.empty_partition(key date) returns boolean
  language plpgsql security definer set search_path = pg_catalog set lock_timeout = '100ms' as $$
begin
  if not pg_try_advisory_xact_lock(:SCHEMA.partition_lock(key)) then
    return false;
  end if;
  if exists (select 1 from :SCHEMA.job_record where day = key and dropped_at is null) then
    raise exception 'partition % holds records that are not dropped', key using errcode = 'restrict_violation';
  end if;
  begin
    execute format('truncate :SCHEMA.%I, :SCHEMA.%I', 'job_chunk_' || to_char(key, 'YYYYMMDD'), 'job_event_index_' || to_char(key, 'YYYYMMDD'));
  exception when lock_not_available then
    return false;
  end;
  delete from :SCHEMA.record_usage where day = key;
  return true;
end
$$;

-- Removes the empty tables of a partition. That needs the lock on all partitions, which is taken only if it is free this very
-- moment, so that nobody ever waits behind it: false means that it was not.
create function :SCHEMA.drop_partition(key date) returns boolean
  language plpgsql security definer set search_path = pg_catalog as $$
declare
  chunks  text := format(':SCHEMA.%I', 'job_chunk_' || to_char(key, 'YYYYMMDD'));
  entries text := format(':SCHEMA.%I', 'job_event_index_' || to_char(key, 'YYYYMMDD'));
  filled  boolean;
begin
  if not pg_try_advisory_xact_lock(:SCHEMA.partition_lock(key)) then
    return false;
  end if;
  if exists (select 1 from :SCHEMA.job_record where day = key and dropped_at is null) then
    raise exception 'partition % holds records that are not dropped', key using errcode = 'restrict_violation';
  end if;
  begin
    execute format('lock table %s, %s, only :SCHEMA.job_chunk, only :SCHEMA.job_event_index in access exclusive mode nowait', chunks, entries);
  exception when lock_not_available then
    return false;
  end;
  execute format('select exists (select 1 from %s) or exists (select 1 from %s)', chunks, entries) into filled;
  if filled then
    raise exception 'partition % is not empty', key using errcode = 'restrict_violation';
  end if;
  execute format('drop table %s, %s', chunks, entries);
  return true;
end
$$;
