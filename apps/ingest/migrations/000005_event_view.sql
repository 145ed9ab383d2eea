-- Job events for people's own SQL: the view job_event unpacks chunks to a row an event. Postgres has no gunzip, and an
-- installation cannot count on an extension: so here is one (RFC 1951 and 1952), slow beside C, fast enough for questions.

-- A table to decode a Huffman code by: entry [next `bits` bits] = symbol * 16 + length of its code. `lengths`: by symbol, 0 = unused.
create function :SCHEMA.huffman_table(lengths integer[], out bits integer, out codes integer[])
  language plpgsql immutable strict parallel safe as $$
declare
  counts   integer[] := array_fill(0, array[16]);
  next     integer[] := array_fill(0, array[16]);
  code     integer := 0;
  len      integer;
  reversed integer;
begin
  bits := 1;
  foreach len in array lengths loop
    if len > 0 then
      counts[len] := counts[len] + 1;
      if len > bits then bits := len; end if;
    end if;
  end loop;
  for i in 1..15 loop
    next[i] := code;
    code := (code + counts[i]) << 1;
  end loop;
  codes := array_fill(-1, array[1 << bits]);
  for symbol in 0..array_length(lengths, 1) - 1 loop
    len := lengths[symbol + 1];
    continue when len = 0;
    -- Codes come with their highest bit first, everything else with its lowest.
    reversed := 0;
    code := next[len];
    next[len] := code + 1;
    for i in 1..len loop
      reversed := (reversed << 1) | (code & 1);
      code := code >> 1;
    end loop;
    while reversed < (1 << bits) loop
      codes[reversed + 1] := symbol * 16 + len;
      reversed := reversed + (1 << len);
    end loop;
  end loop;
end
$$;

-- The bytes of a gzip member. Throws data_corrupted (XX001) for what is none.
create function :SCHEMA.gunzip(packed bytea) returns bytea
  language plpgsql immutable strict parallel safe as $$
declare
  -- A copy in memory: read from its table, every look at a byte would fetch it all again.
  data    bytea := substring(packed from 1);
  size    integer := length(packed);
  pos     integer := 10;
  hold    bigint := 0;       -- bits read and not used yet, the next one lowest
  held    integer := 0;
  parts   bytea[] := '{}';   -- what is done and out of reach of any distance
  done    bytea := '';       -- the last 32 to 64 KiB
  len_done integer := 0;
  run     bytea := '';       -- literals since the last copy
  letters bytea[];
  flags   integer;
  last    boolean;
  kind    integer;
  lengths integer[];
  literal integer[];
  distant integer[];
  literal_mask integer;
  distant_mask integer;
  entry   integer;
  symbol  integer;
  count   integer;
  n_literal integer;
  n_distant integer;
  n       integer;
  len     integer;
  distance integer;
  piece   bytea;
  order_of constant integer[] := '{16,17,18,0,8,7,9,6,10,5,11,4,12,3,13,2,14,1,15}';
  len_base constant integer[] := '{3,4,5,6,7,8,9,10,11,13,15,17,19,23,27,31,35,43,51,59,67,83,99,115,131,163,195,227,258}';
  len_more constant integer[] := '{0,0,0,0,0,0,0,0,1,1,1,1,2,2,2,2,3,3,3,3,4,4,4,4,5,5,5,5,0}';
  far_base constant integer[] := '{1,2,3,4,5,7,9,13,17,25,33,49,65,97,129,193,257,385,513,769,1025,1537,2049,3073,4097,6145,8193,12289,16385,24577}';
  far_more constant integer[] := '{0,0,0,0,1,1,2,2,3,3,4,4,5,5,6,6,7,7,8,8,9,9,10,10,11,11,12,12,13,13}';
begin
  if size < 18 or substring(data from 1 for 3) <> '\x1f8b08' then
    raise exception 'not gzip' using errcode = 'data_corrupted';
  end if;
  flags := get_byte(data, 3);
  if flags & 4 > 0 then pos := pos + 2 + get_byte(data, pos) + 256 * get_byte(data, pos + 1); end if;
  for i in 3..4 loop
    if flags & (1 << i) > 0 then
      while get_byte(data, pos) <> 0 loop pos := pos + 1; end loop;
      pos := pos + 1;
    end if;
  end loop;
  if flags & 2 > 0 then pos := pos + 2; end if;
  select array_agg(set_byte('\x00'::bytea, 0, b) order by b) into letters from generate_series(0, 255) as b;

  loop
    while held < 48 and pos < size loop
      hold := hold | (get_byte(data, pos)::bigint << held); pos := pos + 1; held := held + 8;
    end loop;
    last := hold & 1 = 1;
    kind := (hold >> 1) & 3;
    hold := hold >> 3; held := held - 3;
    if kind = 0 then
      -- Stored: back to whole bytes.
      pos := pos - held / 8;
      hold := 0; held := 0;
      n := get_byte(data, pos) + 256 * get_byte(data, pos + 1);
      run := run || substring(data from pos + 5 for n);
      pos := pos + 4 + n;
    elsif kind = 3 then
      raise exception 'not gzip: a block of no kind' using errcode = 'data_corrupted';
    else
      if kind = 1 then
        lengths := array_fill(8, array[144]) || array_fill(9, array[112]) || array_fill(7, array[24]) || array_fill(8, array[8]);
        select 1 << t.bits, t.codes into literal_mask, literal from :SCHEMA.huffman_table(lengths) as t;
        select 1 << t.bits, t.codes into distant_mask, distant from :SCHEMA.huffman_table(array_fill(5, array[30])) as t;
      else
        n_literal := (hold & 31) + 257;
        n_distant := ((hold >> 5) & 31) + 1;
        count := ((hold >> 10) & 15) + 4;
        hold := hold >> 14; held := held - 14;
        lengths := array_fill(0, array[19]);
        for i in 1..count loop
          while held < 48 and pos < size loop
            hold := hold | (get_byte(data, pos)::bigint << held); pos := pos + 1; held := held + 8;
          end loop;
          lengths[order_of[i] + 1] := hold & 7;
          hold := hold >> 3; held := held - 3;
        end loop;
        select 1 << t.bits, t.codes into literal_mask, literal from :SCHEMA.huffman_table(lengths) as t;
        lengths := array_fill(0, array[n_literal + n_distant]);
        n := 0;
        while n < n_literal + n_distant loop
          while held < 48 and pos < size loop
            hold := hold | (get_byte(data, pos)::bigint << held); pos := pos + 1; held := held + 8;
          end loop;
          entry := literal[(hold & (literal_mask - 1)) + 1];
          hold := hold >> (entry & 15); held := held - (entry & 15);
          symbol := entry >> 4;
          if symbol < 16 then
            lengths[n + 1] := symbol;
            n := n + 1;
          else
            if symbol = 16 then len := lengths[n]; count := 3 + (hold & 3); hold := hold >> 2; held := held - 2;
            elsif symbol = 17 then len := 0; count := 3 + (hold & 7); hold := hold >> 3; held := held - 3;
            else len := 0; count := 11 + (hold & 127); hold := hold >> 7; held := held - 7;
            end if;
            for i in 1..count loop
              lengths[n + i] := len;
            end loop;
            n := n + count;
          end if;
        end loop;
        select 1 << t.bits, t.codes into literal_mask, literal from :SCHEMA.huffman_table(lengths[1:n_literal]) as t;
        select 1 << t.bits, t.codes into distant_mask, distant from :SCHEMA.huffman_table(lengths[n_literal + 1:n_literal + n_distant]) as t;
      end if;
      literal_mask := literal_mask - 1;
      distant_mask := distant_mask - 1;
      loop
        if held < 48 then
          while held < 48 and pos < size loop
            hold := hold | (get_byte(data, pos)::bigint << held); pos := pos + 1; held := held + 8;
          end loop;
          if held < 0 then
            raise exception 'not gzip: it ends too early' using errcode = 'data_corrupted';
          end if;
        end if;
        entry := literal[(hold & literal_mask) + 1];
        if entry < 0 then
          raise exception 'not gzip: no such code' using errcode = 'data_corrupted';
        end if;
        hold := hold >> (entry & 15); held := held - (entry & 15);
        symbol := entry >> 4;
        if symbol < 256 then
          run := run || letters[symbol + 1];
          continue;
        end if;
        exit when symbol = 256;
        symbol := symbol - 256;
        len := len_base[symbol] + (hold & ((1 << len_more[symbol]) - 1));
        hold := hold >> len_more[symbol]; held := held - len_more[symbol];
        entry := distant[(hold & distant_mask) + 1];
        hold := hold >> (entry & 15); held := held - (entry & 15);
        symbol := (entry >> 4) + 1;
        distance := far_base[symbol] + (hold & ((1 << far_more[symbol]) - 1));
        hold := hold >> far_more[symbol]; held := held - far_more[symbol];
        done := done || run;
        len_done := length(done);
        run := '';
        if distance >= len then
          done := done || substring(done from len_done - distance + 1 for len);
        else
          -- It overlaps itself: the same few bytes again and again.
          piece := substring(done from len_done - distance + 1);
          while length(piece) < len loop piece := piece || piece; end loop;
          done := done || substring(piece from 1 for len);
        end if;
        if len_done > 65536 then
          parts := parts || substring(done from 1 for length(done) - 32768);
          done := substring(done from length(done) - 32767);
        end if;
      end loop;
    end if;
    exit when last;
  end loop;
  done := (select coalesce(string_agg(part, ''::bytea order by at), ''::bytea) from unnest(parts) with ordinality as one (part, at)) || done || run;
  -- The last four bytes say how many there must be.
  if length(done) <> get_byte(data, size - 4) + 256 * get_byte(data, size - 3) + 65536 * get_byte(data, size - 2) + 16777216 * get_byte(data, size - 1)::bigint then
    raise exception 'not gzip: of another length than it says' using errcode = 'data_corrupted';
  end if;
  return done;
end
$$;

-- An event's JSON; null if it is none. What jsonb cannot hold (NUL, halves of surrogate pairs) becomes U+FFFD.
create function :SCHEMA.event_json(line bytea) returns jsonb
  language plpgsql immutable strict as $$
begin
  return convert_from(line, 'UTF8')::jsonb;
exception when others then
  begin
    return regexp_replace(convert_from(line, 'UTF8'), '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd', 'g')::jsonb;
  exception when others then
    return null;
  end;
end
$$;

-- The lines of a chunk with their counters, each as JSON and as it came.
create function :SCHEMA.unpack_chunk(payload bytea, first_counter integer)
  returns table (counter integer, event jsonb, raw bytea)
  language plpgsql immutable strict as $$
declare
  rest bytea := :SCHEMA.gunzip(payload);
  n    integer;
begin
  counter := first_counter;
  while length(rest) > 0 loop
    n := position('\x0a'::bytea in rest);
    raw := case when n > 0 then substring(rest from 1 for n - 1) else rest end;
    rest := case when n > 0 then substring(rest from n + 1) else ''::bytea end;
    event := :SCHEMA.event_json(raw);
    return next;
    counter := counter + 1;
  end loop;
end
$$;

-- Grant SELECT on this to whoever may query events: docs/QUERYING.md. Name a job_id: then only its chunks are unpacked.
create view :SCHEMA.job_event as
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
  -- jsonb holds numbers that float8 does not (1e400): one such duration must not break every query of its job.
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
comment on view :SCHEMA.job_event is 'Every event of every job that is kept, unpacked. Always name a job_id.';

-- A row a job, to choose jobs by.
create view :SCHEMA.record_summary as
select job_id, organization_id, job_template_id, opened_at, sealed_at, last_counter as events, last_line as lines,
  raw_bytes, stored_bytes, seal ->> 'status' as status, (seal ->> 'exitCode')::integer as exit_code, seal ->> 'sha256' as sha256, dropped_at
from :SCHEMA.job_record;
comment on view :SCHEMA.record_summary is 'One row a job: when its record was opened and sealed, how large it is, how it ended.';
