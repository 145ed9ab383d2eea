/**
 * What all watchers of a job share in one gateway process: the pages of its record that were read lately, and when it is worth
 * to read again. Whoever is first at a position reads the page in its own name, the others take the same one; each of them
 * proves its own right apart from that (watch-rights.ts, docs/adr/0014).
 *
 * A tail counts `changes`: a hint that the record grew or was sealed, news of the job, a page that got further than any hint, a poll
 * interval that passed (a hint may be lost), somebody's rights. A watcher remembers the count that its last page answers to:
 *
 *   reading   count differs, or the last page did not reach the end of the record
 *   waiting   else: until the next release
 *   released  all waiting at once, so that they go on from one position together and share what comes. Not before the pace, which is
 *             slower the more there are; nor before those of the last release are back, or have been away for too long (a busy
 *             gateway then hands out fewer, larger batches instead of falling behind)
 */
import type { OutputOf } from '@gantry/contracts/command';
import { isPlatformError } from '@gantry/contracts/errors';
import type { JobEventFilter, ListJobEvents } from '@gantry/contracts/record';
import type { LiveFeed } from './live-feed.js';
import { share } from './shared-form.js';

/** Longest wait for a hint that may have been lost. */
const POLL_MILLISECONDS = 2_000;
/** Pages of a job that are kept for watchers that come a moment later. */
const PAGES_KEPT = 8;
/** Batches that one job hands out at most in a second, all watchers together. */
const BATCHES_PER_SECOND = 5_000;
/** Nobody sees the difference, and a job that prints a lot is read in pages instead of in crumbs: each read costs ingest the same. */
const SHORTEST_PACE_MILLISECONDS = 40;
const LONGEST_PACE_MILLISECONDS = 100;
/** So many of the last release are waited for, and so long. */
const MOST = 0.9;
const LONGEST_HOLD_MILLISECONDS = 500;

/** A page of ingest. */
export type EventPage = OutputOf<typeof ListJobEvents>;

/** A batch as the schema has it; one object for all its watchers. */
export interface OutputBatch extends EventPage {
  firstCounter: number;
}

/** What a read gave. */
export interface TailRead {
  /** Null: there is no record yet. */
  batch: OutputBatch | null;
  /** To wait with: the count that it answers to. */
  changes: number;
}

/** One watcher's hold on a tail. */
export interface TailWatch {
  /**
   * The page after `after`: somebody else's if it is being read or was read just now, else what `load` reads. Throws what
   * `load` throws; a refusal of somebody else's read is not passed on, then `load` is asked.
   */
  read(after: number, load: () => Promise<EventPage | null>): Promise<TailRead>;
  /** Resolves when there may be more after `after` than a read that answered to `since` said, or `close` is called. */
  more(after: number, since: number): Promise<void>;
  close(): void;
}

/** The tails of one gateway process: one for each job that is watched. */
export interface JobTails {
  watch(jobId: string, filter: JobEventFilter | null): TailWatch;
}

/** Tails over the feeds of the process. */
export const createJobTails = (live: LiveFeed): JobTails => {
  const tails = new Map<string, Tail>();
  return {
    watch(jobId, filter) {
      let tail = tails.get(jobId);
      if (!tail) tails.set(jobId, (tail = new Tail(jobId, live)));
      tail.watchers += 1;
      return watchOf(tail, JSON.stringify(filter ?? {}), () => {
        tail.watchers -= 1;
        if (tail.watchers > 0) return;
        tail.end();
        tails.delete(jobId);
      });
    },
  };
};

const watchOf = (tail: Tail, filter: string, left: () => void): TailWatch => {
  let closed = false;
  let wake: (() => void) | null = null;
  return {
    read: (after, load) => tail.read(`${after} ${filter}`, after, load),
    more: async (after, since) => {
      // Who comes late to a page that the others have read does not wait for the next.
      if (closed || tail.has(`${after} ${filter}`, after)) return;
      await new Promise<void>((resolve) => tail.join((wake = resolve), since));
      wake = null;
    },
    close: () => {
      if (closed) return;
      closed = true;
      if (wake) {
        tail.leave(wake);
        wake();
      }
      left();
    },
  };
};

interface Kept {
  read: Promise<TailRead>;
  /** Set when it is there. */
  done: TailRead | null;
  at: number;
}

const hasContent = ({ batch }: TailRead, after: number): boolean =>
  batch !== null && (batch.lastCounter > after || batch.final !== null);

/** Refusals that hold for who asked, not for the page. */
const personal = new Set(['unauthenticated', 'forbidden', 'not_found']);

class Tail {
  watchers = 0;
  private readonly waiting = new Set<() => void>();
  private changes = 0;
  /** Something has changed since the last release. */
  private pending = false;
  private committed = 0;
  private sealed = false;
  private readonly pages = new Map<string, Kept>();
  private released = Number.NEGATIVE_INFINITY;
  /** How many were released last, and how many have come since. */
  private out = 0;
  private back = 0;
  private release: NodeJS.Timeout | null = null;
  private readonly stops: (() => void)[];

  constructor(jobId: string, live: LiveFeed) {
    const poll = setInterval(() => {
      const old = performance.now() - POLL_MILLISECONDS;
      for (const [key, { at }] of this.pages) if (at < old) this.pages.delete(key);
      this.changed();
    }, POLL_MILLISECONDS);
    this.stops = [
      () => clearInterval(poll),
      live.onNews(jobId, () => this.changed()),
      live.onAccess(() => this.changed()),
      live.onOutput(jobId, ({ committedCounter, sealed }) => {
        if (committedCounter <= this.committed && (!sealed || this.sealed)) return;
        this.committed = Math.max(this.committed, committedCounter);
        this.sealed ||= sealed;
        this.changed();
      }),
    ];
  }

  end(): void {
    for (const stop of this.stops) stop();
    if (this.release) clearTimeout(this.release);
  }

  async read(key: string, after: number, load: () => Promise<EventPage | null>): Promise<TailRead> {
    const kept = this.pages.get(key);
    if (!kept || !this.holds(kept, after)) return this.load(key, after, load);
    try {
      return await kept.read;
    } catch (error) {
      if (!isPlatformError(error) || !personal.has(error.code)) throw error;
      return this.read(key, after, load);
    }
  }

  /** Is there a page with something in it? */
  has(key: string, after: number): boolean {
    const done = this.pages.get(key)?.done;
    return Boolean(done && hasContent(done, after));
  }

  /** Calls `wake` at the next release. */
  join(wake: () => void, since: number): void {
    this.waiting.add(wake);
    this.back += 1;
    this.pending ||= since !== this.changes;
    this.consider();
  }

  leave(wake: () => void): void {
    this.waiting.delete(wake);
  }

  /** A page with something in it stays true; an empty one only until something changes. */
  private holds({ done }: Kept, after: number): boolean {
    return !done || hasContent(done, after) || done.changes === this.changes;
  }

  private load(key: string, after: number, load: () => Promise<EventPage | null>): Promise<TailRead> {
    const before = this.changes;
    const read = load().then((page): TailRead => {
      if (page && page.committedCounter > this.committed) {
        this.committed = page.committedCounter;
        this.changed();
      }
      // A page that is as new as all that was heard of answers to all of it.
      const newest = page && page.committedCounter >= this.committed && (!this.sealed || page.final);
      return {
        batch: page && share({ ...page, firstCounter: after + 1 }),
        changes: newest ? this.changes : before,
      };
    });
    const kept: Kept = { read, done: null, at: performance.now() };
    const forget = (): void => {
      if (this.pages.get(key) === kept) this.pages.delete(key);
    };
    this.pages.set(key, kept);
    read.then((done) => {
      kept.done = done;
      // Nobody else is there to come a moment later.
      if (this.watchers <= 1) forget();
    }, forget);
    for (const oldest of this.pages.keys()) {
      if (this.pages.size <= PAGES_KEPT) break;
      this.pages.delete(oldest);
    }
    return read;
  }

  private changed(): void {
    this.changes += 1;
    this.pending = true;
    this.consider();
  }

  /** Releases if it is time, else sees to it that it is thought of again. */
  private consider(): void {
    if (!this.pending || this.waiting.size === 0) return;
    const passed = performance.now() - this.released;
    const pace = Math.min(
      Math.max((this.watchers / BATCHES_PER_SECOND) * 1_000, SHORTEST_PACE_MILLISECONDS),
      LONGEST_PACE_MILLISECONDS,
    );
    const together = this.back >= this.out * MOST;
    const wait = (together ? pace : LONGEST_HOLD_MILLISECONDS) - passed;
    if (this.release) clearTimeout(this.release);
    this.release = wait <= 0 ? null : setTimeout(() => this.consider(), wait);
    if (wait <= 0) this.releaseAll();
  }

  private releaseAll(): void {
    const woken = [...this.waiting];
    this.waiting.clear();
    this.pending = false;
    this.released = performance.now();
    [this.out, this.back] = [woken.length, 0];
    for (const wake of woken) wake();
  }
}
