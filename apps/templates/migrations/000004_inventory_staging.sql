-- Pieces of inventories that are too large for one message, until the inventory is made of them or an hour is over.
create table :SCHEMA.inventory_staging (
  upload_id uuid not null,
  part      smallint not null,
  user_id   text not null,
  data      bytea not null,
  at        timestamptz not null default now(),
  primary key (upload_id, part)
);
create index inventory_staging_at on :SCHEMA.inventory_staging (at);
