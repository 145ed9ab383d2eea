-- Read model of jobs: filled by the projection `job`, may be emptied and rebuilt.
create table :SCHEMA.job (
  id uuid primary key,
  organization_id uuid not null,
  job_template_id uuid not null,
  launched_by_id text not null,
  status text not null,
  version integer not null,
  -- The job as queries give it (@gantry/contracts/job, Job).
  view jsonb not null
);
-- Ids are UUIDs of version 7: by id is by time.
create index job_by_template on :SCHEMA.job (job_template_id, id desc);
create index job_by_status on :SCHEMA.job (status, id desc);
create index job_by_organization on :SCHEMA.job (organization_id, id desc);

-- Jobs without an end: what has to be driven, and who has a place. Not a read model: written in the very transaction that
-- appends the event, so that admission (how many run, of which template) decides on what is, not on what was.
create table :SCHEMA.unfinished_job (
  job_id uuid primary key,
  job_template_id uuid not null,
  -- May it run beside others of its template?
  simultaneous boolean not null,
  dispatched boolean not null default false,
  -- What it waits for: 'capacity', 'template', or null.
  waits_for text,
  -- 0 no, 1 asked, 2 at once.
  cancel smallint not null default 0,
  -- The launching person's assertion, encrypted; kept only until everything is pinned.
  sealed_assertion bytea
);

create table :SCHEMA.idempotency_key (
  scope text not null,
  key text not null,
  id uuid not null,
  primary key (scope, key)
);

-- Names this installation in the labels of its pods: two installations may share an engine.
create table :SCHEMA.installation (
  id uuid not null
);
insert into :SCHEMA.installation (id) values (gen_random_uuid());
