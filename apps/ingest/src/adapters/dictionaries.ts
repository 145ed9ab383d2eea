/**
 * Hosts and tasks of a job by number. Written only under the lock of the job's record; what this process remembers is
 * good as long as it wrote the record's last batch itself (`asOf`), else it is read again.
 */
import type pg from 'pg';
import type { Facts } from '../domain/facts.js';
import { createRowWriter, type Copy, type RowWriter } from './copy-binary.js';

/** A job's numbers. */
export interface Dictionary {
  /** Last counter of the record when this was true. */
  asOf: number;
  hosts: Map<string, number>;
  tasks: Map<string, number>;
}

/** Rows that a transaction has to add. */
export interface NewEntries {
  hosts: RowWriter;
  tasks: RowWriter;
}

/** Nothing to add yet. */
export const newEntries = (): NewEntries => ({ hosts: createRowWriter(), tasks: createRowWriter() });

/** The dictionaries of the jobs that send just now. */
export interface Dictionaries {
  /** As of `asOf`, from memory or the tables. */
  open(client: pg.PoolClient, jobId: string, jobNumber: string, asOf: number): Promise<Dictionary>;
  /** After a rollback: what was numbered is not in the tables. */
  forget(jobId: string): void;
  /** After a commit. */
  keep(jobId: string, dictionary: Dictionary, asOf: number): void;
}

const mostJobs = 512;

/** Over the tables of a schema (quoted). */
export const createDictionaries = (schema: string): Dictionaries => {
  const kept = new Map<string, Dictionary>();
  return {
    open: async (client, jobId, jobNumber, asOf) => {
      const known = kept.get(jobId);
      if (known && known.asOf === asOf) return known;
      if (asOf === 0) return { asOf, hosts: new Map(), tasks: new Map() };
      const hosts = await client.query<{ id: number; name: string }>(
        `select host_id as id, name from ${schema}.job_host where job_number = $1`,
        [jobNumber],
      );
      const tasks = await client.query<{ id: number; uuid: string }>(
        `select task_id as id, uuid from ${schema}.job_task where job_number = $1`,
        [jobNumber],
      );
      return {
        asOf,
        hosts: new Map(hosts.rows.map(({ id, name }) => [name, id])),
        tasks: new Map(tasks.rows.map(({ id, uuid }) => [uuid, id])),
      };
    },
    forget: (jobId) => void kept.delete(jobId),
    keep: (jobId, dictionary, asOf) => {
      dictionary.asOf = asOf;
      kept.delete(jobId);
      kept.set(jobId, dictionary);
      if (kept.size > mostJobs) kept.delete(kept.keys().next().value!);
    },
  };
};

/** The host's number; a new one is added to `entries`. */
export const hostNumber = (
  dictionary: Dictionary,
  jobNumber: bigint,
  host: string,
  entries: NewEntries,
): number => {
  const known = dictionary.hosts.get(host);
  if (known !== undefined) return known;
  const id = dictionary.hosts.size + 1;
  dictionary.hosts.set(host, id);
  entries.hosts.row(3).int8(jobNumber).int4(id).text(host);
  return id;
};

/** The number of the task an event belongs to, null for none; a new one is added to `entries`. */
export const taskNumber = (
  dictionary: Dictionary,
  jobNumber: bigint,
  facts: Facts,
  entries: NewEntries,
): number | null => {
  const { taskUuid } = facts;
  if (taskUuid === null) return null;
  const known = dictionary.tasks.get(taskUuid);
  if (known !== undefined) return known;
  const id = dictionary.tasks.size + 1;
  dictionary.tasks.set(taskUuid, id);
  entries.tasks
    .row(6)
    .int8(jobNumber)
    .int4(id)
    .text(taskUuid)
    .text(facts.task)
    .text(facts.play)
    .text(facts.role);
  return id;
};

/** What is new, to be copied before the rows that name it. */
export const copiesOf = (schema: string, entries: NewEntries): Copy[] => [
  { table: `${schema}.job_host`, columns: ['job_number', 'host_id', 'name'], rows: entries.hosts },
  {
    table: `${schema}.job_task`,
    columns: ['job_number', 'task_id', 'uuid', 'name', 'play', 'role'],
    rows: entries.tasks,
  },
];
