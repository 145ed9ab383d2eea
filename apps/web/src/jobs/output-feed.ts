/** Fills an OutputStore: live by subscription, by number where somebody looks; and asks for lines that match. */
import { request } from '../api/client.js';
import { watch, type LiveState } from '../api/live.js';
import {
  eventsQuery,
  extentQuery,
  jobOutputSubscription,
  outputMatchesQuery,
  stdoutQuery,
  type OutputBatch,
} from './job.queries.js';
import type { MatchesPage } from './output-search.js';
import { linesOf, OutputStore } from './output-store.js';

/** Up to here a job's output is read from its beginning; of a longer one, what is looked at. */
const READ_WHOLE = 20_000;
/** Lines of one piece; the API gives no more. */
const PIECE = 10_000;
const FAILURES_AT_MOST = 2_000;
const REST_AFTER_FAILURE = 2_000;

/** The output of one job, kept up to date. */
export class OutputFeed {
  readonly store = new OutputStore();
  state: LiveState = 'connecting';
  final: OutputBatch['final'] = null;
  /** Changes with everything that is to be seen. */
  version = 0;
  private readonly jobId: string;
  private readonly listeners = new Set<() => void>();
  private frame: number | null = null;
  private stopWatching: (() => void) | null = null;
  private readonly abort = new AbortController();
  private fetching: Promise<void> | null = null;

  constructor(jobId: string) {
    this.jobId = jobId;
  }

  /** Begins. Returns how to stop. */
  start(): () => void {
    void this.open();
    return () => {
      this.abort.abort();
      this.stopWatching?.();
      if (this.frame !== null) cancelAnimationFrame(this.frame);
    };
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  };

  readonly getVersion = (): number => this.version;

  /** Sees to it that the lines are held soon. One piece at a time: a scroll passes many places and stops at one. */
  ensure(from: number, to: number): void {
    const missing = this.store.missing(from, to);
    if (!missing || this.fetching) return;
    this.fetching = this.fetch(missing.startLine, missing.endLine).then(
      () => {
        this.fetching = null;
        this.changed();
      },
      async () => {
        await new Promise((resolve) => setTimeout(resolve, REST_AFTER_FAILURE));
        this.fetching = null;
        this.changed();
      },
    );
  }

  /** Lines that hold a text, found by the server; their text is held from now on. */
  async find(text: string, fromLine: number, backwards: boolean, signal: AbortSignal): Promise<MatchesPage> {
    const { job } = await request(
      outputMatchesQuery,
      { id: this.jobId, text, fromLine, backwards },
      AbortSignal.any([signal, this.abort.signal]),
    );
    if (!job) throw new Error('no such job');
    for (const match of job.outputMatches.nodes) this.store.put(match.line, [match.text]);
    return job.outputMatches;
  }

  private async open(): Promise<void> {
    try {
      const { job } = await request(extentQuery, { id: this.jobId }, this.abort.signal);
      const committed = job?.events.committedCounter ?? 0;
      if (job && committed > READ_WHOLE) {
        this.store.extend(job.stdout.totalLines);
        this.store.skipTo(committed);
        void this.findFailures(committed);
      }
    } catch {
      // The subscription meets the same trouble, says so and comes back.
    }
    if (this.abort.signal.aborted) return;
    this.stopWatching = watch({
      document: jobOutputSubscription,
      variables: () => ({ id: this.jobId, after: this.store.lastCounter }),
      onData: ({ jobOutput }) => {
        this.store.take(jobOutput.events, jobOutput.lastCounter);
        if (jobOutput.final) this.final = jobOutput.final;
        this.changed();
      },
      onState: (state) => {
        this.state = state;
        this.changed();
      },
    });
    this.changed();
  }

  /** Where the failures are among the events that are not read. */
  private async findFailures(committed: number): Promise<void> {
    for (let after = 0; after < committed && this.store.failures.length < FAILURES_AT_MOST;) {
      const { job } = await request(
        eventsQuery,
        { id: this.jobId, first: 500, after, filter: { failedOnly: true } },
        this.abort.signal,
      );
      if (!job || job.events.lastCounter <= after) return;
      for (const event of job.events.nodes)
        if (event.endLine > event.startLine) this.store.addFailure(event.startLine);
      after = job.events.lastCounter;
      this.changed();
    }
  }

  private async fetch(startLine: number, endLine: number): Promise<void> {
    const piece = await this.piece(startLine, Math.min(endLine, startLine + PIECE));
    if (piece.endLine <= piece.startLine) throw new Error('no lines there yet');
    this.store.put(piece.startLine, linesOf(piece.text, piece.endLine - piece.startLine));
  }

  private async piece(startLine: number, endLine: number) {
    const { job } = await request(stdoutQuery, { id: this.jobId, startLine, endLine }, this.abort.signal);
    if (!job) throw new Error('no such job');
    return job.stdout;
  }

  /** Tells once per frame, however many batches came. */
  private changed(): void {
    if (this.frame !== null || this.abort.signal.aborted) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      this.version++;
      for (const listener of this.listeners) listener();
    });
  }
}
