/**
 * Read models: rows made from a log, with the place reached stored in the same transaction.
 *
 * States: idle (made, or its run was ended) -> running -> idle, or -> stopped when an event cannot be applied.
 * running: reads a batch after the checkpoint without a lock; then, in one transaction, locks the checkpoint's row,
 *   applies the batch, moves the checkpoint, commits. When the checkpoint is not where the batch began, another
 *   replica was faster (or somebody rebuilt): the batch is thrown away and reading starts from the stored checkpoint.
 *   So every event takes effect once, however many replicas run.
 * stopped: an event that `apply` refused, one of a version newer than this build knows among them. Nothing is skipped:
 *   the checkpoint stays before the event, `status` and the rejection of `run` say which it was.
 * A Postgres that is away, a deadlock and a serialisation failure are ridden out.
 */
import { PlatformError, isPlatformError } from '@gantry/contracts/errors';
import type { StoredEvent } from '@gantry/contracts/envelope';
import type pg from 'pg';
import { checkpointOf, compareCheckpoints, logStart, type Checkpoint } from './checkpoint.js';
import { checkpointStore } from './checkpoint-store.js';
import type { EventLog } from './log.js';
import { fromPostgres, identifier, withTransaction, type Sql } from './sql.js';
import { createWaker, type Waker } from './waker.js';

/** What a projection is made of. */
export interface ProjectionSettings {
  log: EventLog;
  /** Same database as the log. */
  pool: pg.Pool;
  /** Unique within the schema; names the checkpoint. */
  name: string;
  /** Its own tables, in the log's schema: parents before children. `rebuild` empties them. */
  tables: readonly string[];
  /**
   * Applies one event through the given connection and nothing else: no clock, no other table, no outside effect.
   * Called once per event in the log's order. What it throws stops the projection.
   */
  apply: (event: StoredEvent, sql: Sql) => Promise<void>;
  /** Event types that `apply` wants; all when left out. */
  types?: readonly string[];
  /** Events at most in one transaction; 500 when left out. */
  batchSize?: number;
  /** Longest wait before looking again, in milliseconds; 500 when left out. */
  pollMs?: number;
  /** Told of every failure that is ridden out. */
  onRetry?: (error: PlatformError) => void;
}

/** How a projection is doing, for health and operators. */
export interface ProjectionStatus {
  name: string;
  state: 'idle' | 'running' | 'stopped';
  /** Why it is stopped. */
  failure: PlatformError | null;
}

/** One read model. */
export interface Projection {
  readonly name: string;
  /**
   * Follows the log until `signal` fires, then resolves once the batch in hand is committed. Rejects when an event
   * cannot be applied: as `apply` threw it (`unavailable` with reason `unknown_event` for a version this build does not
   * know), anything that is no PlatformError as `defect`; details gain {projection, stream, streamVersion, type}.
   */
  run(signal: AbortSignal): Promise<void>;
  /**
   * Resolves once everything up to and including `place` (a stored event serves) is in the rows, whoever put it there.
   * Throws `unavailable` after `timeoutMs`, and at once when this projection is stopped.
   */
  caughtUp(place: Checkpoint, options: { timeoutMs: number }): Promise<void>;
  /**
   * Empties the tables and replays the whole log, in one transaction: readers go on seeing the old rows, unlocked,
   * until it commits (rows are deleted, not truncated, for TRUNCATE would make readers wait). Running replicas wait
   * and go on from its end. As long as it takes, tails in the same database do not advance.
   */
  rebuild(): Promise<void>;
  /** The stored checkpoint. */
  position(): Promise<Checkpoint>;
  /** How it is doing, without asking the database. */
  status(): ProjectionStatus;
}

const retryDelayMs = 250;

/** A projection at rest; `run` sets it going. */
export const createProjection = (settings: ProjectionSettings): Projection => {
  const { log, pool, name, pollMs = 500, batchSize = 500 } = settings;
  const checkpoint = checkpointStore(log.schema, name);
  const wanted = settings.types && new Set(settings.types);
  const committed = createWaker();
  let state: ProjectionStatus['state'] = 'idle';
  let failure: PlatformError | null = null;

  const position = (): Promise<Checkpoint> => checkpoint.read(pool);

  const applyAll = async (events: readonly StoredEvent[], sql: Sql): Promise<void> => {
    for (const event of events) {
      if (wanted && !wanted.has(event.type)) continue;
      await settings.apply(event, sql).catch((error: unknown) => {
        throw applyFailure(error, name, event);
      });
    }
  };

  /** False when the checkpoint was not at `from`: nothing was done. */
  const applyBatch = (from: Checkpoint, batch: readonly StoredEvent[]): Promise<boolean> =>
    withTransaction(pool, async (sql) => {
      const stored = await checkpoint.lock(sql);
      if (compareCheckpoints(stored, from) !== 0) return false;
      await applyAll(batch, sql);
      await checkpoint.write(sql, batch.at(-1) ?? from);
      return true;
    });

  /** Follows the log from the stored checkpoint until it is found moved, or the signal fires. */
  const follow = async (signal: AbortSignal): Promise<void> => {
    let from = await position();
    for await (const batch of log.tail(from, {
      signal,
      pollMs,
      limit: batchSize,
      onUnavailable: settings.onRetry,
    })) {
      if (!(await applyBatch(from, batch))) return;
      from = checkpointOf(batch.at(-1)!);
      committed.wake();
    }
  };

  return {
    name,
    position,
    status: () => ({ name, state, failure }),
    run: async (signal) => {
      [state, failure] = ['running', null];
      while (!signal.aborted) {
        try {
          await follow(signal);
        } catch (error) {
          if (!isPassing(error)) {
            failure = isPlatformError(error)
              ? error
              : new PlatformError('defect', `Projection ${name} failed.`, { cause: error });
            state = 'stopped';
            committed.wake();
            throw failure;
          }
          settings.onRetry?.(error);
          await createWaker().nextWake({ signal, timeoutMs: retryDelayMs });
        }
      }
      state = 'idle';
    },
    caughtUp: (place, { timeoutMs }) =>
      reach({ name, place, timeoutMs, position, commits: committed, failure: () => failure }),
    rebuild: async () => {
      await withTransaction(pool, async (sql) => {
        await checkpoint.lock(sql);
        for (const own of [...settings.tables].reverse()) {
          await sql.query(`delete from ${identifier(log.schema)}.${identifier(own)}`);
        }
        let reached = logStart;
        for (;;) {
          const batch = await log.readAll(reached, batchSize);
          await applyAll(batch, sql);
          reached = batch.at(-1) ?? reached;
          if (batch.length < batchSize) break;
        }
        await checkpoint.write(sql, reached);
      });
      committed.wake();
    },
  };
};

const reach = async (wanted: {
  name: string;
  place: Checkpoint;
  timeoutMs: number;
  position: () => Promise<Checkpoint>;
  commits: Waker;
  failure: () => PlatformError | null;
}): Promise<void> => {
  const { name, place, timeoutMs } = wanted;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    // Another replica's commit does not wake us, hence the short poll.
    const since = wanted.commits.count();
    if (compareCheckpoints(await wanted.position(), place) >= 0) return;
    const failure = wanted.failure();
    if (failure) throw unavailable(name, `Projection ${name} is stopped: ${failure.message}`, failure);
    if (performance.now() >= deadline) {
      throw unavailable(
        name,
        `Projection ${name} did not reach the event within ${timeoutMs} ms: it lags behind.`,
      );
    }
    await wanted.commits.nextWake({ since, timeoutMs: 25 });
  }
};

const unavailable = (projection: string, message: string, cause?: PlatformError): PlatformError =>
  new PlatformError('unavailable', message, { details: { projection }, cause });

const retriedStates = new Set(['40001', '40P01']);

/** Away for a while, or a lost lock race: the same batch may go through next time. */
const isPassing = (error: unknown): error is PlatformError =>
  isPlatformError(error) &&
  error.details['projection'] === undefined &&
  (error.code === 'unavailable' || retriedStates.has(String(error.details['sqlState'])));

const applyFailure = (raw: unknown, name: string, event: StoredEvent): unknown => {
  const error = fromPostgres(raw);
  const where = {
    projection: name,
    stream: event.stream,
    streamVersion: event.streamVersion,
    type: event.type,
  };
  if (!isPlatformError(error)) {
    return new PlatformError(
      'defect',
      `Projection ${name} cannot apply ${event.type} (${event.stream} version ${event.streamVersion}).`,
      {
        details: where,
        cause: error,
      },
    );
  }
  // The connection broke under apply, or a lock race was lost: not the event's fault.
  if (error.details['sqlState'] !== undefined && isPassing(error)) return error;
  return new PlatformError(error.code, error.message, {
    details: { ...error.details, ...where },
    cause: error,
  });
};
