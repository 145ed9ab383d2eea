-- Results and timing per task, counted while the job runs. Times are the pod's, from the events.
create table :SCHEMA.job_task_summary (
  job_number      bigint not null,
  task_id         integer not null,
  first_counter   integer not null,
  started_at      timestamptz,
  ended_at        timestamptz,
  ok              integer not null,
  changed         integer not null,
  failed          integer not null,
  unreachable     integer not null,
  skipped         integer not null,
  ignored         integer not null,
  total_ms        bigint not null,
  longest_ms      integer not null,
  slowest_host_id integer,
  primary key (job_number, task_id)
) with (fillfactor = 70);
