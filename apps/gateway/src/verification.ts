/** Checking a whole job: its record at ingest, part by part, then its own stream at the launcher. */
import { isPlatformError, PlatformError } from '@gantry/contracts/errors';
import { ChainState, VerifyJobStream, VerifyRecord, type Finding } from '@gantry/contracts/proof';
import type { Call } from './context.js';

/** One step of a check; the last one has no cursor. */
export interface Verification {
  findings: Finding[];
  cursor: string | null;
  checkedEvents: number;
  totalEvents: number;
  gaps: number;
  finished: boolean | null;
  seal: { count: number; sha256: string; status: string | null } | null;
}

/** The next step after a cursor. Throws `invalid` for what is no cursor, and what the owners throw. */
export const verifyJob = async (call: Call, jobId: string, after: string | null): Promise<Verification> => {
  const state = after === null ? null : readCursor(after);
  const record = await call(VerifyRecord, { jobId, state }).catch((error: unknown) => {
    // A job that never had a pod has no record; who may not see it is told so by the launcher.
    if (isPlatformError(error) && error.code === 'not_found' && !state) return null;
    throw error;
  });
  const step = {
    checkedEvents: record?.checkedCounter ?? 0,
    totalEvents: record?.lastCounter ?? 0,
    gaps: record?.gaps ?? 0,
  };
  if (record?.state)
    return {
      ...step,
      findings: record.findings,
      cursor: writeCursor(record.state),
      finished: null,
      seal: null,
    };
  const seal = record?.seal ?? null;
  const job = await call(VerifyJobStream, { jobId, seal });
  return {
    ...step,
    findings: [...(record?.findings ?? []), ...job.findings],
    cursor: null,
    finished: job.finished,
    seal: seal && { count: seal.lastCounter, sha256: seal.sha256, status: seal.status },
  };
};

const writeCursor = (state: ChainState): string => Buffer.from(JSON.stringify(state)).toString('base64url');

const readCursor = (cursor: string): ChainState => {
  try {
    return ChainState.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')));
  } catch {
    throw new PlatformError(
      'invalid',
      '`after` is not a cursor that was given out: take it from the step before.',
    );
  }
};
