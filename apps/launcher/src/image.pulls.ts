/** Carries out the pulls that people asked for. Any launcher may; a lock sees to it that one does, and the next takes over when it dies. */
import { makeEvent, type NewEvent } from '@gantry/contracts/envelope';
import { NoteDigest } from '@gantry/contracts/ee';
import { asPlatformError } from '@gantry/contracts/errors';
import { pullEvents } from '@gantry/contracts/pull';
import type { EventLog } from '@gantry/eventlog/log';
import { decideAndAppend, loadAggregate } from '@gantry/service/aggregate';
import { newId, systemContext, type CallContext } from '@gantry/service/context';
import type { ServiceKit } from '@gantry/service/kit';
import type { JobLocks } from './adapters/job-locks.js';
import { decidePull, evolvePull, noPull, type PullCommand, type PullEvent } from './domain/image-pull.js';
import { ensureImage, type PullSettings } from './image.ensure.js';
import type { Inspections } from './image.inspection.js';
import type { ImageQueries } from './image.projection.js';
import { reasonOf } from './job.pin.js';
import type { PodDriver } from './pod/driver.js';

/** What pulls are made with. */
export interface PullParts {
  kit: Pick<ServiceKit, 'call' | 'config' | 'logger'>;
  log: EventLog;
  pods: PodDriver;
  pullSettings: PullSettings;
  images: ImageQueries;
  noteImage: Inspections['noteOnEngine'];
}

/** The pulls of this launcher. */
export interface Pulls {
  /** Begins one, unless somebody is at it. Returns at once. */
  wake(pullId: string): void;
  /** Takes up what nobody is at. */
  sweep(): Promise<void>;
  /** Our locks are gone: others may be at it now. */
  dropAll(): void;
  /** Leaves them: another launcher goes on. */
  stop(): Promise<void>;
}

/** The engine has one disk and one line: more at a time would only be slower. */
const atOnce = 2;
const { ImagePruneFinished: _, ...ofPulls } = pullEvents;
const specs = new Map(Object.values(ofPulls).map((spec) => [spec.type as string, spec]));

/** A pull as its stream tells it. */
export const pullAggregate = (log: EventLog, pullId: string) => ({
  log,
  stream: `image_pull-${pullId}`,
  initial: noPull,
  evolve: evolvePull,
  catalogue: ofPulls,
});
/** An event to be appended. */
export const newPullEvent = ({ type, data }: PullEvent, id: string): NewEvent =>
  makeEvent(specs.get(type)!, id, data as never);

/** Says something to a pull. */
export const tellPull = async (
  log: EventLog,
  pullId: string,
  command: PullCommand,
  context: CallContext,
): Promise<void> => {
  const id = newId();
  await decideAndAppend({
    ...pullAggregate(log, pullId),
    decide: (state) => decidePull(state, command).map((event) => newPullEvent(event, id)),
    meta: context.meta(),
  });
};

/** At rest; `wake` and `sweep` set them going. */
export const createPulls = (parts: PullParts, locks: JobLocks): Pulls => {
  const running = new Map<string, { abort: AbortController; done: Promise<void> }>();
  let stopped = false;

  const run = async (pullId: string, signal: AbortSignal): Promise<void> => {
    try {
      if (!(await locks.take(pullId))) return;
      try {
        await carryOut(parts, pullId, signal);
      } finally {
        if (!signal.aborted || stopped) await locks.release(pullId);
      }
    } catch (error) {
      parts.kit.logger.warn(
        { pullId, err: error },
        'a pull could not go on; the next sweep takes it up again',
      );
    } finally {
      running.delete(pullId);
      // One that had to wait may begin.
      if (!stopped && !signal.aborted) void sweep().catch(() => undefined);
    }
  };
  const wake = (pullId: string): void => {
    if (stopped || running.has(pullId) || running.size >= atOnce) return;
    const abort = new AbortController();
    running.set(pullId, { abort, done: Promise.resolve() });
    running.get(pullId)!.done = run(pullId, abort.signal);
  };
  const sweep = async (): Promise<void> => (await parts.images.unfinishedPulls()).forEach(wake);
  const dropAll = (): void => running.forEach(({ abort }) => abort.abort());
  return {
    wake,
    dropAll,
    sweep,
    stop: async () => {
      stopped = true;
      dropAll();
      await Promise.allSettled([...running.values()].map(({ done }) => done));
    },
  };
};

const carryOut = async (parts: PullParts, pullId: string, signal: AbortSignal): Promise<void> => {
  const { log, kit } = parts;
  const { state } = await loadAggregate(pullAggregate(log, pullId));
  if (state.phase !== 'running' || !state.requested) return;
  const wanted = state.requested.image;
  const context = systemContext(kit, { correlationId: pullId });
  const tell = (command: PullCommand): Promise<void> => tellPull(log, pullId, command, context);
  try {
    const ready = await ensureImage(parts, wanted, {
      signal,
      context,
      told: {
        started: async () => undefined,
        progressed: (progress) => tell({ kind: 'progress', data: { pullId, progress } }),
        retried: (retry) => tell({ kind: 'retry', data: { pullId, ...retry } }),
      },
    });
    const { digest, pulled, attempts, durationMilliseconds, sizeBytes } = ready;
    const { image, executionEnvironmentId } = wanted;
    parts.noteImage({ executionEnvironmentId, image, digest }, context);
    if (digest !== wanted.digest)
      await kit.call(NoteDigest, { id: executionEnvironmentId, image, digest }, context);
    await tell({
      kind: 'finish',
      data: { pullId, image, digest, pulled, attempts, durationMilliseconds, sizeBytes },
    });
  } catch (error) {
    if (signal.aborted) return;
    if (asPlatformError(error).code === 'defect') kit.logger.error({ pullId, err: error }, 'a pull failed');
    await tell({ kind: 'fail', data: { pullId, reason: reasonOf(error) } });
  }
};
