/** Who may speak for a job: the bearer of its current attempt, until the record is closed. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { PlatformError } from '@gantry/contracts/errors';
import { fromPostgres, identifier } from '@gantry/eventlog/sql';
import type pg from 'pg';
import { staleEpoch } from './record.commands.js';

/** A pod that has shown its token. */
export interface Pod {
  jobId: string;
  epoch: number;
}

/** Checks a call. Throws `unauthenticated`, or `forbidden` with reason `stale_epoch` or `closed`. */
export type PodAccess = (
  jobId: string,
  authorization: string | undefined,
  epoch: string | undefined,
) => Promise<Pod>;

interface Row {
  jobId: string;
  epoch: number;
  closed: boolean;
  sha256: Buffer;
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const nobody = Buffer.alloc(32);

/**
 * Over a schema's tables. What was read is believed for a second: a batch of a replaced attempt is refused again under
 * the record's lock, so this only saves queries.
 */
export const createPodAccess = (settings: {
  pool: pg.Pool;
  schema: string;
  now?: () => number;
  believeMilliseconds?: number;
}): PodAccess => {
  const { pool, now = () => performance.now(), believeMilliseconds = 1_000 } = settings;
  const schema = identifier(settings.schema);
  const known = new Map<string, { row: Row; until: number }>();

  const look = async (jobId: string, epoch: number): Promise<Row | null> => {
    const key = `${jobId}.${epoch}`;
    const found = known.get(key);
    if (found && found.until > now()) return found.row;
    known.delete(key);
    const { rows } = await pool
      .query<Row>(
        `select record.job_id as "jobId", record.epoch, record.closed_at is not null as closed, bearer.sha256
         from ${schema}.job_record as record join ${schema}.job_bearer as bearer using (job_id)
         where record.job_id = $1 and bearer.epoch = $2`,
        [jobId, epoch],
      )
      .catch((error: unknown) => {
        throw fromPostgres(error);
      });
    if (!rows[0]) return null;
    if (known.size >= 2_000) known.clear();
    known.set(key, { row: rows[0], until: now() + believeMilliseconds });
    return rows[0];
  };

  return async (jobId, authorization, epochText) => {
    const token = /^Bearer ([A-Za-z0-9_-]{20,200})$/.exec(authorization ?? '')?.[1];
    const epoch = /^\d{1,9}$/.test(epochText ?? '') ? Number(epochText) : null;
    if (!token)
      throw new PlatformError('unauthenticated', 'The call has no "Authorization: Bearer <bearer>" header.');
    if (epoch === null)
      throw new PlatformError(
        'unauthenticated',
        'The call has no "Gantry-Epoch" header with the number of the attempt.',
      );
    const row = uuid.test(jobId) ? await look(jobId, epoch) : null;
    const given = createHash('sha256').update(token).digest();
    const right = timingSafeEqual(given, row?.sha256 ?? nobody);
    if (!row || !right)
      throw new PlatformError(
        'unauthenticated',
        `This token does not open attempt ${epoch} of job ${jobId.slice(0, 36)}.`,
      );
    if (row.closed || row.epoch !== epoch) throw staleEpoch(row, epoch);
    return { jobId, epoch };
  };
};
