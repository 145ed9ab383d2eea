/** Sees to it that an image is where pods run: with the login of its registry, and again when its registry is away for a moment. */
import { setTimeout as pause } from 'node:timers/promises';
import { asPlatformError, PlatformError } from '@gantry/contracts/errors';
import type { PinnedImage, Reason } from '@gantry/contracts/job';
import type { PullProgress } from '@gantry/contracts/job';
import type { CallContext } from '@gantry/service/context';
import type { ServiceKit } from '@gantry/service/kit';
import { askRegistryLogin } from '@gantry/service/registry-login';
import { joinSignals } from '@gantry/service/signals';
import type { z } from 'zod';
import { imageTrouble, mayPass, pauseAfter, pullFailure, registryOf, worthTelling } from './domain/pull.js';
import { reasonOf } from './job.pin.js';
import type { PodDriver, ReadyImage, RegistryLogin } from './pod/driver.js';

/** Bounds of a pull. */
export interface PullSettings {
  /** The first one included. */
  attempts: number;
  /** How long one attempt may take. */
  timeoutMilliseconds: number;
}

/** What is told on the way; called in order, and not while an earlier call has not returned. */
export interface PullTold {
  started(): Promise<unknown>;
  progressed(progress: PullProgress): Promise<unknown>;
  retried(retry: { attempt: number; reason: Reason; pauseMilliseconds: number }): Promise<unknown>;
}

/** What an image needs to be found or pulled. */
export type NeededImage = Pick<
  z.output<typeof PinnedImage>,
  'image' | 'digest' | 'pull' | 'credentialId' | 'organizationId'
>;

interface Parts {
  kit: Pick<ServiceKit, 'call'>;
  pods: Pick<PodDriver, 'ensureImage'>;
  pullSettings: PullSettings;
}

/** Throws what `PodDriver.ensureImage` throws, of the last attempt; `refused` with reason `image_credential` when the vault gives no login. */
export const ensureImage = async (
  parts: Parts,
  needed: NeededImage,
  { told, signal, context }: { told: PullTold; signal: AbortSignal; context: CallContext },
): Promise<ReadyImage & { attempts: number }> => {
  const { image, digest, pull } = needed;
  const { attempts, timeoutMilliseconds } = parts.pullSettings;
  const began = performance.now();
  const teller = createTeller(told, began);
  const login = (): Promise<RegistryLogin | null> => loginFor(parts, needed, context);
  for (let attempt = 1; ; attempt++) {
    const bound = joinSignals([signal], timeoutMilliseconds);
    try {
      const ready = await parts.pods.ensureImage(
        { image, digest, pull },
        { login, onPull: teller.started, onProgress: teller.progressed, signal: bound.signal },
      );
      await teller.done();
      return { ...ready, attempts: attempt, durationMilliseconds: Math.round(performance.now() - began) };
    } catch (thrown) {
      await teller.done();
      const late = bound.signal.aborted && !signal.aborted;
      const error = late ? tookTooLong(image, timeoutMilliseconds) : asPlatformError(thrown);
      if (!mayPass(error) || attempt >= attempts || late) throw error;
      const pauseMilliseconds = pauseAfter(attempt);
      await told.retried({ attempt, reason: reasonOf(error), pauseMilliseconds });
      await pause(pauseMilliseconds, undefined, { signal }).catch((cause: unknown) => {
        throw new PlatformError('cancelled', `Pulling ${image} was given up.`, { cause });
      });
    } finally {
      bound.release();
    }
  }
};

const tookTooLong = (image: string, milliseconds: number): PlatformError =>
  pullFailure(image, `timeout: the pull had not ended after ${Math.round(milliseconds / 1_000)} s`);

const loginFor = async (
  { kit }: Parts,
  { image, credentialId, organizationId }: NeededImage,
  context: CallContext,
): Promise<RegistryLogin | null> => {
  if (!credentialId) return null;
  const question = { credentialId, organizationId: organizationId ?? null, host: registryOf(image) };
  return askRegistryLogin(kit.call, question, context).catch((thrown: unknown) => {
    const error = asPlatformError(thrown);
    if (error.code !== 'not_found' && error.code !== 'refused') throw error;
    throw imageTrouble(
      image,
      'image_credential',
      `The image ${image} could not be pulled: ${error.message.replace(/\.$/, '')}`,
    );
  });
};

/** Tells one thing after the other; of progress only what is worth it, and only while nothing else is being told. */
const createTeller = (told: PullTold, began: number) => {
  let telling: Promise<unknown> = Promise.resolve();
  let busy = false;
  let started = false;
  let lastTold = began;
  const tell = (say: () => Promise<unknown>): void => {
    busy = true;
    telling = telling.then(say).finally(() => (busy = false));
    // Awaited in `done`; until then nobody listens to its failure.
    telling.catch(() => undefined);
  };
  return {
    started: (): void => {
      if (!started) tell(told.started);
      started = true;
    },
    progressed: (progress: PullProgress): void => {
      const now = performance.now();
      if (busy || !worthTelling(now - began, now - lastTold)) return;
      lastTold = now;
      tell(() => told.progressed(progress));
    },
    done: (): Promise<unknown> => telling,
  };
};
