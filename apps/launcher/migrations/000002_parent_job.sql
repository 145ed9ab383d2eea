-- The job that a job follows from, as a relaunch does; null for jobs from before there was such a thing.
alter table :SCHEMA.job add column parent_job_id uuid;
create index job_by_parent on :SCHEMA.job (parent_job_id, id desc) where parent_job_id is not null;
