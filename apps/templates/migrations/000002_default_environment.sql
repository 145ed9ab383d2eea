-- Execution environment of a project's jobs whose template names none.
alter table :SCHEMA.project add column default_environment_id uuid;

create index job_template_environment on :SCHEMA.job_template ((settings->>'executionEnvironmentId'));
