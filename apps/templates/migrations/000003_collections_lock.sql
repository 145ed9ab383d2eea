-- What the commit says of the collections it wants: JSON null for nothing, SQL null for archives from before anybody looked.
alter table :SCHEMA.project_archive add column collections jsonb;
