-- Read model of credentials: what queries may show.
create table :SCHEMA.credential (
  id              uuid primary key,
  name            text not null,
  description     text not null,
  organization_id uuid not null,
  credential_type text not null,
  version         integer not null,
  inputs          jsonb not null,
  secret_fields   text[] not null,
  created_at      timestamptz not null
);
create index credential_by_name on :SCHEMA.credential (name, id);
create index credential_by_organization on :SCHEMA.credential (organization_id);

-- Not made from the log, and gone for good when lost: the ciphertexts, and the wrapped key that opens those of one version.
create table :SCHEMA.credential_key (
  credential_id uuid not null,
  version       integer not null,
  key_id        text not null,
  wrapped_key   bytea not null,
  primary key (credential_id, version)
);
create table :SCHEMA.credential_secret (
  credential_id uuid not null,
  version       integer not null,
  field         text not null,
  ciphertext    bytea not null,
  primary key (credential_id, version, field),
  foreign key (credential_id, version) references :SCHEMA.credential_key on delete cascade
);

-- The proof key of a pod (docs/PROTOCOL.md 1.1), encrypted; removed when its grant is closed.
create table :SCHEMA.grant_proof_key (
  job_id      uuid not null,
  epoch       integer not null,
  key_id      text not null,
  wrapped_key bytea not null,
  ciphertext  bytea not null,
  primary key (job_id, epoch)
);

-- A name belongs to one credential of its organization and type; written with the event, so that two cannot have it.
create table :SCHEMA.credential_name (
  organization_id uuid not null,
  credential_type text not null,
  name            text not null,
  credential_id   uuid not null,
  primary key (organization_id, credential_type, name)
);

create table :SCHEMA.idempotency_key (
  scope text not null,
  key   text not null,
  id    uuid not null,
  primary key (scope, key)
);
