import { PlatformError } from '@gantry/contracts/errors';
import { createContext } from '@gantry/service/context';
import { describe, expect, it } from 'vitest';
import { pullFailure } from './domain/pull.js';
import { ensureImage, type NeededImage, type PullTold } from './image.ensure.js';
import type { PodDriver } from './pod/driver.js';

const digest = `sha256:${'1'.repeat(64)}`;
const needed: NeededImage = { image: 'r.example:5000/team/ee:1', digest, pull: 'missing' };
const context = createContext({
  actor: { kind: 'system', id: 'launcher', name: 'launcher' },
  logger: { child: () => undefined } as never,
});
const ready = { reference: 'sha256:2', digest, pulled: true, durationMilliseconds: 1, sizeBytes: 3 };
const never = new AbortController().signal;

const ensure = (
  ensureOnce: PodDriver['ensureImage'],
  { call, signal = never, timeoutMilliseconds = 60_000, of = needed, attempts = 2 } = {} as {
    call?: (...args: unknown[]) => Promise<unknown>;
    signal?: AbortSignal;
    timeoutMilliseconds?: number;
    of?: NeededImage;
    attempts?: number;
  },
) => {
  const told: string[] = [];
  const teller: PullTold = {
    started: async () => told.push('started'),
    progressed: async () => told.push('progressed'),
    retried: async ({ attempt, reason, pauseMilliseconds }) =>
      told.push(`${reason.code} at attempt ${attempt}, again in ${pauseMilliseconds}`),
  };
  const parts = {
    kit: { call: (call ?? (() => Promise.reject(new Error('nobody is asked')))) as never },
    pods: { ensureImage: ensureOnce },
    pullSettings: { attempts, timeoutMilliseconds },
  };
  return { told, outcome: ensureImage(parts, of, { told: teller, signal, context }) };
};

describe('an image that is to be there', () => {
  it('is pulled again when its registry was away', async () => {
    let attempt = 0;
    const { told, outcome } = ensure(async (_, { onPull }) => {
      onPull();
      attempt += 1;
      if (attempt === 1) throw pullFailure(needed.image, 'connection refused');
      return ready;
    });
    expect(await outcome).toMatchObject({ digest, pulled: true, attempts: 2 });
    expect(told).toEqual(['started', 'image_registry_unreachable at attempt 1, again in 1000']);
  });

  it('is not asked for more often than so', async () => {
    let asked = 0;
    const { outcome } = ensure(async () => {
      asked += 1;
      throw pullFailure(needed.image, '503 Service Unavailable');
    });
    await expect(outcome).rejects.toMatchObject({ details: { reason: 'image_registry_unreachable' } });
    expect(asked).toBe(2);
  });

  it('is asked for once when waiting does not help', async () => {
    const { told, outcome } = ensure(async () => {
      throw pullFailure(needed.image, 'manifest unknown');
    });
    await expect(outcome).rejects.toMatchObject({ details: { reason: 'image_not_found' } });
    expect(told).toEqual([]);
  });

  it('is given up at once, also between two attempts', async () => {
    const leave = new AbortController();
    const { outcome } = ensure(
      async () => {
        setTimeout(() => leave.abort());
        throw pullFailure(needed.image, 'connection refused');
      },
      { signal: leave.signal, attempts: 10 },
    );
    await expect(outcome).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('is not waited for without end', async () => {
    const { outcome } = ensure(
      (_, { signal }) =>
        new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(new PlatformError('cancelled', 'given up'))),
        ),
      { timeoutMilliseconds: 10 },
    );
    await expect(outcome).rejects.toMatchObject({
      code: 'refused',
      details: { reason: 'image_registry_unreachable' },
      message: expect.stringContaining('timeout'),
    });
  });
});

describe('the login of a pull', () => {
  const credentialId = '0b9e6a4e-5d0b-4c56-9b0d-0d6a3a3f0001';
  const asking: PodDriver['ensureImage'] = async (_, { login }) => {
    await login();
    return ready;
  };

  it('is asked of the vault for the registry of the image, and only where there is a credential', async () => {
    expect(await ensure(asking).outcome).toMatchObject({ pulled: true });
    for (const [image, host] of [
      ['r.example:5000/team/ee:1', 'r.example:5000'],
      ['localhost/ee', 'localhost'],
      ['library/ee:1', 'docker.io'],
      ['ee:1', 'docker.io'],
    ] as const) {
      const asked: unknown[] = [];
      const call = async (_: unknown, question: unknown) => {
        asked.push(question);
        throw new PlatformError('unavailable', 'The vault is away.');
      };
      const of = { ...needed, image, credentialId, organizationId: null };
      await expect(ensure(asking, { call, of }).outcome).rejects.toMatchObject({ code: 'unavailable' });
      expect(asked).toEqual([expect.objectContaining({ credentialId, organizationId: null, host })]);
    }
  });

  it('that the vault does not give ends the pull, in its words', async () => {
    const call = async () => {
      throw new PlatformError('refused', 'The credential x is for the registry y.', {
        details: { reason: 'registry_host' },
      });
    };
    const { outcome } = ensure(asking, { call, of: { ...needed, credentialId } });
    await expect(outcome).rejects.toMatchObject({
      code: 'refused',
      details: { reason: 'image_credential' },
      message: `The image ${needed.image} could not be pulled: The credential x is for the registry y.`,
    });
  });
});
