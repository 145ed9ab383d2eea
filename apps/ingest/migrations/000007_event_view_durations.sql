-- jsonb holds numbers that float8 does not (1e400): one such duration in an event broke every query of its job.
create or replace view :SCHEMA.job_event as
select
  record.job_id,
  record.organization_id,
  record.job_template_id,
  line.counter,
  line.event ->> 'event' as event,
  line.event ->> 'uuid' as uuid,
  line.event ->> 'parent_uuid' as parent_uuid,
  line.event #>> '{event_data,host}' as host,
  line.event #>> '{event_data,task}' as task,
  line.event #>> '{event_data,play}' as play,
  line.event #>> '{event_data,role}' as role,
  coalesce(line.event ->> 'event' in ('runner_on_failed', 'runner_on_unreachable', 'runner_on_async_failed', 'runner_item_on_failed', 'error', 'gantry_gap')
    and line.event #> '{event_data,ignore_errors}' is distinct from 'true', false) as failed,
  coalesce(line.event #> '{event_data,res,changed}' = 'true', false) as changed,
  line.event ->> 'created' as created,
  case when jsonb_typeof(line.event #> '{event_data,duration}') = 'number' and (line.event #>> '{event_data,duration}')::numeric between 0 and 1e9
    then round((line.event #>> '{event_data,duration}')::numeric, 6)::float8 end as duration_seconds,
  line.event ->> 'stdout' as stdout,
  line.event -> 'start_line' as start_line,
  line.event -> 'end_line' as end_line,
  line.event -> 'event_data' as event_data,
  line.raw
from :SCHEMA.job_record as record
  join :SCHEMA.job_chunk as chunk on chunk.day = record.day and chunk.job_id = record.job_id
  cross join lateral :SCHEMA.unpack_chunk(chunk.payload, chunk.first_counter) as line
where record.dropped_at is null;
