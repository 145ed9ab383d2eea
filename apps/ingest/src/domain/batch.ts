/** A batch on its way into the record: what the pod sent, and what the index and the host summaries take from it. */
import type { BatchClaim } from './append.js';
import { countsOf, factsOf, isIndexed, statsOf, type Counts, type Facts } from './facts.js';
import { addToTask, type TaskCounts } from './task-counts.js';
import type { Line } from './ndjson.js';

/** An event that gets a row in the index. */
export interface IndexedEvent {
  counter: number;
  facts: Facts;
}

/** A checked batch. */
export interface Batch extends BatchClaim {
  jobId: string;
  firstLine: number;
  lastLine: number;
  rawLength: number;
  /** As the agent compressed it. */
  payload: Buffer;
  indexed: IndexedEvent[];
  /** What the batch adds to the numbers of each host. */
  added: Map<string, Counts>;
  /** Ansible's own numbers, if the batch holds them: they replace what was counted. */
  final: Map<string, Counts> | null;
  /** What the batch adds to the numbers of each task, by uuid. */
  tasks: Map<string, TaskCounts>;
}

/** What the index and the summaries take from the lines of a batch. */
export const extract = (lines: Iterable<Line>): Pick<Batch, 'indexed' | 'added' | 'final' | 'tasks'> => {
  const indexed: IndexedEvent[] = [];
  const added = new Map<string, Counts>();
  const tasks = new Map<string, TaskCounts>();
  let final: Map<string, Counts> | null = null;
  for (const { counter, event } of lines) {
    const facts = factsOf(event);
    if (isIndexed(facts)) indexed.push({ counter, facts });
    const counted = countsOf(facts);
    if (facts.host !== null) add(added, facts.host, counted);
    if (facts.taskUuid !== null) addToTask(tasks, counter, facts, counted);
    final = statsOf(event) ?? final;
  }
  return { indexed, added, final, tasks };
};

const add = (to: Map<string, Counts>, host: string, more: Partial<Counts> | null): void => {
  if (!more) return;
  const sum = to.get(host) ?? { ok: 0, changed: 0, failures: 0, dark: 0, skipped: 0, rescued: 0, ignored: 0 };
  for (const [name, value] of Object.entries(more) as [keyof Counts, number][]) sum[name] += value;
  to.set(host, sum);
};
