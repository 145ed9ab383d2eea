-- Without the counter the rows of a host in a job share one entry with a list of places (deduplication): a fifth of the size.
-- A query by host sorts what it finds, or goes by counter and leaves out the others: either is quick enough (docs/BUDGETS.md).
drop index :SCHEMA.job_event_index_host;
create index job_event_index_host on :SCHEMA.job_event_index (job_number, host_id) where host_id is not null;
