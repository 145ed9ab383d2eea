-- Sums over each row of job_chunk (docs/RECORD.md section 3, docs/adr/0015): the chain covers the events, these the bytes as
-- they are stored and the columns beside them, so that one flipped byte anywhere in a row is found and told where.
alter table :SCHEMA.job_chunk add column payload_sha256 bytea, add column header_sha256 bytea;

update :SCHEMA.job_chunk set
  payload_sha256 = sha256(payload),
  header_sha256 = sha256(convert_to(concat_ws('|', job_id, first_counter, last_counter, first_line, last_line, epoch, raw_length, codec,
    to_char(received_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), encode(previous_hash, 'hex'), encode(hash, 'hex')), 'UTF8'));

alter table :SCHEMA.job_chunk
  alter column payload_sha256 set not null,
  alter column header_sha256 set not null,
  add constraint job_chunk_sums_check check (length(payload_sha256) = 32 and length(header_sha256) = 32);
