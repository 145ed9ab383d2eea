/** What the record holds, read from the database: counted, not believed. */
import type { Figures } from './result.js';
import type { World } from './world.js';

/** Compares what was sent (`heads`: each job's chain) with what is committed. One flipped byte changes a head: all its events are lost. */
export const countRecord = async (
  { database }: World,
  heads: Record<string, string>,
  eventsPerJob: number,
): Promise<Required<Pick<Figures, 'lost' | 'duplicated'>>> => {
  const jobIds = Object.keys(heads);
  const { rows } = await database.query<{ jobId: string; head: string; kept: string; distinct: string }>(
    `select record.job_id as "jobId", encode(record.chain_head, 'hex') as head,
            coalesce(sum(chunk.last_counter - chunk.first_counter + 1), 0) as kept,
            coalesce((select count(distinct counter) from ingest.job_chunk as one
              cross join lateral generate_series(one.first_counter, one.last_counter) as counter
              where one.job_id = record.job_id and one.day = record.day), 0) as distinct
     from ingest.job_record as record
     left join ingest.job_chunk as chunk on chunk.job_id = record.job_id and chunk.day = record.day
     where record.job_id = any($1::uuid[]) group by record.job_id`,
    [jobIds],
  );
  let [lost, duplicated] = [0, 0];
  const found = new Map(rows.map((row) => [row.jobId, row]));
  for (const jobId of jobIds) {
    const row = found.get(jobId);
    lost += row?.head === heads[jobId] ? eventsPerJob - Number(row!.distinct) : eventsPerJob;
    duplicated += row ? Number(row.kept) - Number(row.distinct) : 0;
  }
  return { lost, duplicated };
};

/** Bytes of all tables of ingest with their indexes and TOAST. */
export const storedBytes = async ({ database }: World): Promise<number> => {
  const { rows } = await database.query<{ bytes: string }>(
    `select coalesce(sum(pg_total_relation_size(oid)), 0) as bytes from pg_class
     where relnamespace = 'ingest'::regnamespace and relkind in ('r', 'm')`,
  );
  return Number(rows[0]!.bytes);
};
