-- Execution environment of an organization's jobs that get none from template or project.
alter table :SCHEMA.organization add column default_environment_id uuid;
