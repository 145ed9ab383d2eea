/**
 * What must hold for every job after every fault, looked up in the database and not in what the services say: counters
 * 1..N, none missing, none twice; lines that join up; a chain that can be computed again from the stored bytes; the end
 * that the pod reported; and watchers who have seen exactly that.
 */
import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { expect } from 'vitest';
import { ask, type Job } from '../e2e/api.js';
import { sql } from './parts.js';
import type { Pod } from './pod.js';
import type { Watched } from './watcher.js';

/** What the pod said its job was. */
export interface Told {
  jobId: string;
  /** A job of the launcher's, which Gantry can verify by itself; not only a record. */
  isJob: boolean;
  lastCounter: number;
  /** Hex. */
  hash: string;
  status: string;
}

/** What a pod of the tests said. */
export const toldBy = (pod: Pod, status = 'successful'): Told => ({
  jobId: pod.jobId,
  isJob: false,
  lastCounter: pod.counter,
  hash: pod.head,
  status,
});

/** What the API says of a job that a real pod ran. */
export const toldOf = (job: Job): Told => ({
  jobId: job.id,
  isJob: true,
  lastCounter: job.record!.lastCounter,
  hash: job.record!.sha256,
  status: job.status.toLowerCase(),
});

interface Chunk {
  first: number;
  last: number;
  firstLine: number;
  lastLine: number;
  previous: string;
  hash: string;
  payload: Buffer;
}

/** What Gantry itself says of a job, verified from the database. */
const verified = async (id: string): Promise<unknown> => {
  interface Step {
    verifyJob: { cursor: string | null; finished: boolean; findings: { message: string }[] };
  }
  for (let after: string | null = null; ;) {
    const { verifyJob }: Step = await ask<Step>(
      'query ($id: ID!, $after: String) { verifyJob(id: $id, after: $after) { cursor finished findings { message } } }',
      { id, after },
    );
    if (verifyJob.findings.length > 0 || !verifyJob.cursor) return verifyJob.findings;
    after = verifyJob.cursor;
  }
};

/** 1 to `last`. */
export const counting = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1);

/** Checks one job, and what its watchers saw. Returns the stored lines, each as its bytes. */
export const expectWhole = async (told: Told, ...watchers: Watched[]): Promise<Buffer[]> => {
  const { jobId } = told;
  const [record] = await sql<{ lastCounter: number; head: string; seal: Record<string, unknown> | null }>(
    `select last_counter as "lastCounter", encode(chain_head, 'hex') as head, seal from ingest.job_record where job_id = $1`,
    [jobId],
  );
  const chunks = await sql<Chunk>(
    `select first_counter as first, last_counter as last, first_line as "firstLine", last_line as "lastLine",
       encode(previous_hash, 'hex') as previous, encode(hash, 'hex') as hash, payload
     from ingest.job_chunk where job_id = $1 order by first_counter`,
    [jobId],
  );
  const lines: Buffer[] = [];
  let [head, line] = [createHash('sha256').update(`gantry:${jobId}`).digest(), 0];
  for (const chunk of chunks) {
    expect(chunk.first, `job ${jobId}: the counter after ${lines.length}`).toBe(lines.length + 1);
    expect(chunk.previous, `job ${jobId}: the chain before event ${chunk.first}`).toBe(head.toString('hex'));
    expect(chunk.firstLine, `job ${jobId}: the line before event ${chunk.first}`).toBe(line);
    const raw = gunzipSync(chunk.payload);
    head = createHash('sha256').update(head).update(raw).digest();
    expect(chunk.hash, `job ${jobId}: the chain after event ${chunk.last}`).toBe(head.toString('hex'));
    for (let start = 0; start < raw.length;) {
      const end = raw.indexOf(10, start);
      lines.push(raw.subarray(start, end));
      start = end + 1;
    }
    expect(lines.length, `job ${jobId}: the last counter of the chunk at ${chunk.first}`).toBe(chunk.last);
    line = chunk.lastLine;
  }
  const counters = lines.map((bytes, index) => counterOf(bytes) ?? index + 1);
  expect(counters, `job ${jobId}: the counters in its events`).toEqual(counting(told.lastCounter));
  expect(record, `job ${jobId}: its record`).toMatchObject({
    lastCounter: told.lastCounter,
    head: told.hash,
    seal: { lastCounter: told.lastCounter, status: told.status },
  });
  expect(head.toString('hex')).toBe(told.hash);
  const [index] = await sql<{ wrong: number }>(
    `select count(*)::int as wrong from ingest.job_event_index as one join ingest.job_record as record on record.number = one.job_number
     where record.job_id = $1 and one.counter > record.last_counter`,
    [jobId],
  );
  expect(index!.wrong, `job ${jobId}: rows of the index beyond its end`).toBe(0);
  if (told.isJob) expect(await verified(jobId), `job ${jobId}: what Gantry finds wrong itself`).toEqual([]);
  for (const watched of watchers) {
    expect(watched.counters, `job ${jobId}: what a watcher saw`).toEqual(counting(told.lastCounter));
    expect(watched.final).toEqual({
      count: told.lastCounter,
      sha256: told.hash,
      status: told.status.toUpperCase(),
    });
    expect([...watched.errors], `job ${jobId}: errors that a watcher met`).not.toContain('INTERNAL');
  }
  return lines;
};

/** The counter in an event; null for bytes that are no JSON, which count as the event whose turn it is. */
const counterOf = (line: Buffer): number | null => {
  try {
    return (JSON.parse(line.toString()) as { counter: number }).counter;
  } catch {
    return null;
  }
};
