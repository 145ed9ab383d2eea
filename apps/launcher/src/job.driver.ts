/**
 * Drives jobs. Any launcher may drive any unfinished job; an advisory lock sees to it that one does at a time. A job is woken by the
 * launch, by what is said to it (cancel, its record's news), by the end of another job, and by a sweep over all unfinished ones.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { asPlatformError } from '@gantry/contracts/errors';
import type { JobLocks } from './adapters/job-locks.js';
import { admissionStep } from './job.admission.js';
import { attemptStep } from './job.attempt.js';
import { backOff, say, type Drive, type LauncherParts, type StepOutcome } from './job.drive.js';
import { helpsToWait, reasonOf } from './job.pin.js';
import { podLabels } from './pod/description.js';

/** Keeps jobs going. */
export interface Driver {
  /** Something happened to this job, or it is new. Returns at once. */
  wake(jobId: string): void;
  /** Takes up every unfinished job that nobody drives, and passes on cancels that another replica took. */
  sweep(): Promise<void>;
  /** Removes pods of this installation whose job is over or was never known. */
  sweepPods(): Promise<void>;
  /** Our locks are gone: others may drive our jobs now. */
  dropAll(): void;
  /** Leaves every job as it is. Pods run on. */
  stop(): Promise<void>;
}

interface Entry {
  drive: Drive;
  abort: AbortController;
  done: Promise<void>;
  /** Woken since its last look. */
  woken: boolean;
  wake: () => void;
  cancelSeen: number;
}

const stopMilliseconds = 5_000;
const defectsForgiven = 5;
/** How many waiting jobs a sweep looks at: they are in order, and those behind cannot go first. */
const waitingAtOnce = 20;

/** A driver at rest; `wake` and `sweep` set it going. */
export const createDriver = (parts: LauncherParts, locks: JobLocks): Driver => {
  const entries = new Map<string, Entry>();
  let stopped = false;

  const run = async (entry: Entry): Promise<void> => {
    const { drive } = entry;
    const { jobId } = drive;
    let finished = false;
    try {
      if (!(await locks.take(jobId))) return;
      try {
        do {
          entry.woken = false;
          finished = await driveJob(parts, drive);
        } while (!finished && entry.woken && !drive.signal.aborted);
      } finally {
        if (!drive.signal.aborted || stopped) await locks.release(jobId);
      }
    } catch (error) {
      parts.kit.logger.warn(
        { jobId, err: error },
        'a job could not be driven; the next sweep takes it up again',
      );
    } finally {
      entries.delete(jobId);
      // Its place is free.
      if (finished && !stopped) void sweep().catch(() => undefined);
    }
  };

  const wake = (jobId: string): void => {
    if (stopped) return;
    const known = entries.get(jobId);
    if (known) {
      known.woken = true;
      known.wake();
      return;
    }
    const entry = createEntry(jobId);
    entries.set(jobId, entry);
    entry.done = run(entry);
  };

  const sweep = async (): Promise<void> => {
    let waiting = 0;
    for (const { jobId, cancel, waits } of await parts.jobs.unfinished()) {
      const known = entries.get(jobId);
      if (known) {
        if (cancel > known.cancelSeen) known.wake();
        known.cancelSeen = cancel;
      } else if (!waits || ++waiting <= waitingAtOnce) wake(jobId);
    }
  };

  return {
    wake,
    sweep,
    sweepPods: async () => {
      // In this order: a job is unfinished before it has a pod.
      const pods = await parts.pods.list(podLabels.installation, parts.podSettings.installationId);
      const unfinished = new Set((await parts.jobs.unfinished()).map(({ jobId }) => jobId));
      for (const { name, labels } of pods) {
        if (labels[podLabels.inspection] || unfinished.has(labels[podLabels.job] ?? '')) continue;
        parts.kit.logger.warn({ pod: name }, 'a pod was left behind: removing it');
        await parts.pods.destroy(name);
      }
    },
    dropAll: () => entries.forEach((entry) => entry.abort.abort()),
    stop: async () => {
      stopped = true;
      for (const entry of entries.values()) entry.abort.abort();
      // A call to a service that does not answer is not waited for: the connection it needs is closed next.
      await Promise.race([
        Promise.allSettled([...entries.values()].map((entry) => entry.done)),
        pause(stopMilliseconds, undefined, { ref: false }),
      ]);
    },
  };
};

const createEntry = (jobId: string): Entry => {
  const abort = new AbortController();
  const listeners = new Set<() => void>();
  let heard = 0;
  const entry: Entry = {
    abort,
    done: Promise.resolve(),
    woken: false,
    cancelSeen: 0,
    wake: () => {
      heard += 1;
      listeners.forEach((listener) => listener());
    },
    drive: {
      get heard() {
        return heard;
      },
      jobId,
      signal: abort.signal,
      failures: 0,
      troubleSince: null,
      endedFor: null,
      tokenGiven: false,
      news: (milliseconds, also, since = heard) =>
        new Promise((resolve) => {
          const signals = also ? [abort.signal, also] : [abort.signal];
          const finish = (): void => {
            clearTimeout(timer);
            listeners.delete(finish);
            signals.forEach((signal) => signal.removeEventListener('abort', finish));
            resolve();
          };
          const timer = setTimeout(finish, milliseconds);
          listeners.add(finish);
          signals.forEach((signal) => signal.addEventListener('abort', finish));
          if (since !== heard || signals.some((signal) => signal.aborted)) finish();
        }),
    },
  };
  return entry;
};

/** Step after step until the job is over (true) or has to wait (false). */
const driveJob = async (parts: LauncherParts, drive: Drive): Promise<boolean> => {
  let defects = 0;
  while (!drive.signal.aborted) {
    let outcome: StepOutcome;
    try {
      const job = await parts.jobs.load(drive.jobId);
      if (!job || job.state.phase === 'finished') return true;
      const beforePlace = job.state.phase === 'requested' || job.state.phase === 'pinned';
      const { failures } = drive;
      outcome = await (beforePlace ? admissionStep : attemptStep)(parts, drive, job);
      // Steps that ride out a failure count it themselves.
      if (drive.failures <= failures) [drive.failures, drive.troubleSince] = [0, null];
    } catch (thrown) {
      const error = asPlatformError(thrown);
      if (drive.signal.aborted) return false;
      drive.failures += 1;
      defects += helpsToWait(error) ? 0 : 1;
      parts.kit.logger[helpsToWait(error) ? 'warn' : 'error'](
        { jobId: drive.jobId, err: error },
        'a step of a job failed; trying again',
      );
      if (defects > defectsForgiven) await endWithDefect(parts, drive, error);
      await drive.news(backOff(drive.failures));
      continue;
    }
    if (outcome === 'parked') return false;
  }
  return false;
};

/** A job that no step can move would keep its place for ever. Where it has a pod, trying goes on. */
const endWithDefect = async (parts: LauncherParts, drive: Drive, error: unknown): Promise<void> => {
  const job = await parts.jobs.load(drive.jobId);
  if (!job || job.state.pod || job.state.seal) return;
  await say(parts, job, { kind: 'fail', reason: reasonOf(error), durationMilliseconds: 0 }).catch(
    () => undefined,
  );
};
