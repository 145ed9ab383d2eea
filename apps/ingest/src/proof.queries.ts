/** Proof of a record: reading it as it is stored, and checking it, a bounded part at a time (docs/RECORD.md). */
import { authorize, type Principal } from '@gantry/contracts/access';
import type { OutputOf, ReceivedBy } from '@gantry/contracts/command';
import type {
  ChainState,
  Finding,
  LinkedEvent,
  ReadChunks,
  ReadRecordRow,
  ReadRecordStream,
  RecordRow,
  VerifyRecord,
} from '@gantry/contracts/proof';
import type { EventLog } from '@gantry/eventlog/log';
import { chainBegin, checkChunk, checkRow, checkSeal, sealOf } from '@gantry/eventlog/record-check';
import { checkStream } from '@gantry/eventlog/stream-check';
import type pg from 'pg';
import { noRecord, type JobRecord, type Records } from './adapters/records.js';
import { createStoredRows, type StoredChunk, type StoredRows } from './adapters/stored-rows.js';
import { createStableRead } from './stable-read.js';

/** Bytes of chunks in one answer; base64 makes a third more of them, and a message holds 1 MiB. */
const PAGE_BYTES = 400 * 1024;
/** Chunks in one answer, and looked at in one call. */
const PAGE_CHUNKS = 64;
/** One call of a check stops after so many stored or raw bytes: well under a second of work. */
const CHECK_BYTES = { stored: 8 * 1024 * 1024, raw: 32 * 1024 * 1024 };

/** What they stand on. */
export interface ProofDependencies {
  pool: pg.Pool;
  log: EventLog;
  records: Records;
}

/** Throw `not_found`, `forbidden` (needs `read` in the job's organization), `refused` with reason `record_dropped`, `unavailable`. */
export interface ProofQueries {
  row(input: ReceivedBy<typeof ReadRecordRow>, principal: Principal): Promise<OutputOf<typeof ReadRecordRow>>;
  chunks(input: ReceivedBy<typeof ReadChunks>, principal: Principal): Promise<OutputOf<typeof ReadChunks>>;
  stream(
    input: ReceivedBy<typeof ReadRecordStream>,
    principal: Principal,
  ): Promise<OutputOf<typeof ReadRecordStream>>;
  verify(
    input: ReceivedBy<typeof VerifyRecord>,
    principal: Principal,
  ): Promise<OutputOf<typeof VerifyRecord>>;
}

/** Over the tables and the log of a schema. */
export const createProofQueries = ({ pool, log, records }: ProofDependencies): ProofQueries => {
  const rows = createStoredRows(pool, log.schema);
  const stable = createStableRead(pool, records);
  const allowed = async (jobId: string, principal: Principal): Promise<JobRecord> => {
    const record = await records.find(pool, jobId);
    if (!record) throw noRecord(jobId);
    authorize(principal, 'read', record.organizationId, `the record of job ${jobId}`);
    return record;
  };
  const rowOf = async (jobId: string) => {
    const row = await rows.row(jobId);
    if (!row) throw noRecord(jobId);
    return row;
  };

  /** The row and the stream as they are at one moment: a record that is written changes both at once. */
  const together = async (jobId: string): Promise<{ row: RecordRow; events: LinkedEvent[] }> => {
    for (let row = await rowOf(jobId); ;) {
      const events = await log.readAllLinks(`record-${jobId}`);
      const again = await rowOf(jobId);
      if (again.streamVersion === row.streamVersion) return { row: again, events };
      row = again;
    }
  };

  /** All chunks are looked at: the row, the seal and the stream. Null if chunks have come meanwhile. */
  const checkRest = async (record: JobRecord, state: ChainState) => {
    const { jobId } = record;
    const { row, events } = await together(jobId);
    if (row.lastCounter > state.counter && (await rows.headers(record, state.after, 1)).length > 0)
      return null;
    const inStream = checkStream('record_stream', `record-${jobId}`, events);
    const seal = inStream.length === 0 ? sealOf(events) : row.seal;
    return {
      findings: [
        ...inStream,
        ...checkRow(state, row, inStream.length === 0 ? events : null),
        ...(inStream.length === 0 ? checkSeal(state, seal) : []),
      ],
      seal,
    };
  };

  return {
    row: async ({ jobId }, principal) => {
      await allowed(jobId, principal);
      return { row: await rowOf(jobId) };
    },
    chunks: async ({ jobId, after, offset }, principal) => {
      const record = await allowed(jobId, principal);
      return { chunks: await stable(record, (kept) => readPage(rows, kept, after, offset)) };
    },
    stream: async ({ jobId, afterVersion }, principal) => {
      await allowed(jobId, principal);
      return log.readLinks(`record-${jobId}`, afterVersion);
    },
    verify: async ({ jobId, state: given }, principal) => {
      const record = await allowed(jobId, principal);
      const from = given ?? chainBegin(jobId);
      const { findings, state, reachedEnd } = await stable(record, async (kept) =>
        checkPage(await rows.headers(kept, from.after, PAGE_CHUNKS), from, {
          jobId,
          read: (chunk) => rows.payload(kept, chunk.header.firstCounter, 0, chunk.storedLength),
        }),
      );
      const progress = { checkedCounter: state.counter, lastCounter: record.lastCounter, gaps: state.gaps };
      if (!reachedEnd) return { findings, state, ...progress, seal: null };
      const rest = await checkRest(record, state);
      if (!rest) return { findings, state, ...progress, seal: null };
      return { findings: [...findings, ...rest.findings], state: null, ...progress, seal: rest.seal };
    },
  };
};

/** Whole chunks as many as fit; the first one from a byte on, and as much of it as fits. */
const readPage = async (
  rows: StoredRows,
  record: JobRecord,
  after: number,
  offset: number,
): Promise<OutputOf<typeof ReadChunks>['chunks']> => {
  const page: OutputOf<typeof ReadChunks>['chunks'] = [];
  let bytes = 0;
  for (const { header, storedLength } of await rows.headers(record, after, PAGE_CHUNKS)) {
    const from = page.length === 0 ? offset : 0;
    if (page.length > 0 && bytes + storedLength > PAGE_BYTES) break;
    const payload = await rows.payload(record, header.firstCounter, from, PAGE_BYTES);
    page.push({ header, storedLength, payload: payload.toString('base64') });
    bytes += payload.length;
    if (from + payload.length < storedLength) break;
  }
  return page;
};

const checkPage = async (
  page: readonly StoredChunk[],
  from: ChainState,
  how: { jobId: string; read(chunk: StoredChunk): Promise<Buffer> },
): Promise<{ findings: Finding[]; state: ChainState; reachedEnd: boolean }> => {
  const findings: Finding[] = [];
  let [state, looked] = [from, 0];
  for (const chunk of page) {
    const checked = await checkChunk(how.jobId, state, chunk.header, await how.read(chunk));
    findings.push(...checked.findings);
    state = checked.state;
    looked += 1;
    if (state.storedBytes - from.storedBytes > CHECK_BYTES.stored) break;
    if (state.rawBytes - from.rawBytes > CHECK_BYTES.raw) break;
  }
  return { findings, state, reachedEnd: looked === page.length && page.length < PAGE_CHUNKS };
};
