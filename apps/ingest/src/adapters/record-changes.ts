/** Changing a record: under its lock, in one transaction with the event that tells of it. */
import { makeEvent, type EventSpec, type Meta } from '@gantry/contracts/envelope';
import { RecordSealed } from '@gantry/contracts/record';
import type { EventLog } from '@gantry/eventlog/log';
import { identifier, withTransaction, type Sql } from '@gantry/eventlog/sql';
import type pg from 'pg';
import { v7 as newId } from 'uuid';
import type { z } from 'zod';
import { noRecord, type JobRecord, type Records, type Seal } from './records.js';

/** What is said of an end: by the agent, or by the launcher for want of an agent's word. */
export type Said = Omit<Seal, 'jobId' | 'epoch' | 'lastCounter' | 'lastLine' | 'sha256'>;

/** The parts that every change is made of. */
export interface RecordChanges {
  /** Appends a milestone to the stream of a locked record. */
  append<S extends EventSpec>(
    sql: Sql,
    record: JobRecord,
    spec: S,
    data: z.input<S['data']>,
    meta: Meta,
  ): Promise<void>;
  /** Runs `work` with the record locked; commits. Throws `not_found` when there is none. */
  changing<T>(jobId: string, work: (sql: pg.PoolClient, record: JobRecord) => Promise<T>): Promise<T>;
  /** Seals a locked record as it stands. */
  seal(sql: Sql, record: JobRecord, said: Said, meta: Meta): Promise<Seal>;
}

/** Over the log and the tables of its schema. */
export const createRecordChanges = (deps: {
  pool: pg.Pool;
  log: EventLog;
  records: Records;
}): RecordChanges => {
  const { pool, log, records } = deps;
  const schema = identifier(log.schema);

  const append = async <S extends EventSpec>(
    sql: Sql,
    record: JobRecord,
    spec: S,
    data: z.input<S['data']>,
    meta: Meta,
  ): Promise<void> => {
    await log.appendIn(
      sql,
      `record-${record.jobId}`,
      record.streamVersion,
      [makeEvent(spec, newId(), data)],
      meta,
    );
    record.streamVersion += 1;
    await sql.query(`update ${schema}.job_record set stream_version = $2 where job_id = $1`, [
      record.jobId,
      record.streamVersion,
    ]);
  };
  const changing = async <T>(
    jobId: string,
    work: (sql: pg.PoolClient, record: JobRecord) => Promise<T>,
  ): Promise<T> => {
    const result = await withTransaction(pool, async (client) => {
      const record = await records.lock(client, jobId);
      if (!record) throw noRecord(jobId);
      return work(client, record);
    });
    log.wake();
    return result;
  };
  const seal = async (sql: Sql, record: JobRecord, said: Said, meta: Meta): Promise<Seal> => {
    const whole: Seal = {
      jobId: record.jobId,
      epoch: record.epoch,
      lastCounter: record.lastCounter,
      lastLine: record.lastLine,
      sha256: record.head,
      ...said,
    };
    await sql.query(`update ${schema}.job_record set sealed_at = now(), seal = $2 where job_id = $1`, [
      record.jobId,
      JSON.stringify(whole),
    ]);
    await append(sql, record, RecordSealed, whole, meta);
    return whole;
  };
  return { append, changing, seal };
};
