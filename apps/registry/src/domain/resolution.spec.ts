import type { ExecutionEnvironment } from '@gantry/contracts/ee';
import { isPlatformError } from '@gantry/contracts/errors';
import { describe, expect, it } from 'vitest';
import { defaultPull, parseImageReference } from './image-reference.js';
import { isTold, resolve, type Lookup, type LookupFailure, type Wanted } from './resolution.js';

const digest = (n: number): string => `sha256:${String(n).repeat(64)}`;
const wanted = (change: Partial<ExecutionEnvironment> = {}): Wanted => {
  const environment: ExecutionEnvironment = {
    id: '0b9e6a4e-5d0b-4c56-9b0d-0d6a3a3f0001',
    name: 'EE',
    description: '',
    image: 'quay.io/team/ee:1',
    version: 1,
    managed: false,
    isDefault: false,
    digest: null,
    digestSince: null,
    tagMoved: null,
    lookup: null,
    createdAt: '2026-11-28T00:00:00.000Z',
    ...change,
  };
  const reference = parseImageReference(environment.image);
  const pull = environment.pull ?? defaultPull(reference);
  return { environment, from: 'job_template', reference, pull };
};
const pods = ['linux/amd64'];
const found = (platforms: string[] | null = null): Lookup => ({ found: true, digest: digest(1), platforms });
const failed = (failure: LookupFailure): Lookup => ({ found: false, failure, words: 'its words' });
const reasonOf = (run: () => unknown): unknown => {
  try {
    run();
  } catch (error) {
    if (isPlatformError(error)) return [error.code, error.details['reason'], error.message];
    throw error;
  }
  throw new Error('it did not throw');
};

describe('an image', () => {
  it('is asked about unless only an engine can know it', () => {
    expect(isTold(wanted())).toBe(true);
    expect(isTold(wanted({ image: 'localhost/ee:1' }))).toBe(false);
    expect(isTold(wanted({ pull: 'never' }))).toBe(false);
  });

  it('is what its registry says, and why it is this one is said', () => {
    expect(resolve(wanted(), found(), pods)).toMatchObject({
      resolution: 'resolved',
      digest: digest(1),
      pull: 'missing',
      from: 'job_template',
      reason: 'the job template names it',
    });
    expect(resolve({ ...wanted(), from: 'inventory_organization' }, found(), pods).reason).toBe(
      "the default of the inventory's organization",
    );
  });

  it('is what its reference says, whatever its registry does', () => {
    const pinned = wanted({ image: `quay.io/team/ee@${digest(3)}` });
    for (const lookup of [null, found(), failed('away'), failed('not_found')])
      expect(resolve(pinned, lookup, pods)).toMatchObject({ resolution: 'pinned', digest: digest(3) });
  });

  it('is left to the engine when nobody was asked', () => {
    expect(resolve(wanted({ image: 'localhost/ee:1' }), null, pods)).toMatchObject({
      resolution: 'local',
      digest: null,
    });
  });

  it.each(['away', 'rate_limited'] as const)('is what was last known while its registry is %s', (failure) => {
    for (const image of ['quay.io/team/ee:1', 'quay.io/team/ee:latest']) {
      expect(resolve(wanted({ image, digest: digest(2) }), failed(failure), pods)).toMatchObject({
        resolution: 'known',
        digest: digest(2),
        words: 'its words',
        reason: expect.stringMatching(/registry is .* \(its words\).*last known/) as string,
      });
    }
  });

  it('that is not known may be on the machine, unless it is always to be pulled', () => {
    expect(resolve(wanted(), failed('away'), pods)).toMatchObject({ resolution: 'local', digest: null });
    expect(reasonOf(() => resolve(wanted({ image: 'quay.io/team/ee' }), failed('away'), pods))).toMatchObject(
      ['refused', 'registry_unreachable', expect.stringContaining('its words')],
    );
  });

  it.each([
    ['not_found', 'image_not_found'],
    ['unauthorized', 'registry_unauthorized'],
    ['untrusted', 'registry_untrusted'],
    ['rejected', 'registry_rejected'],
  ] as const)('is refused when its registry says %s, known or not', (failure, reason) => {
    for (const known of [null, digest(2)])
      expect(reasonOf(() => resolve(wanted({ digest: known }), failed(failure), pods))).toMatchObject([
        'refused',
        reason,
        expect.stringContaining('its words'),
      ]);
  });

  it('must be made for what pods run on; variants do not matter, and what is not known stops nobody', () => {
    for (const platforms of [null, [], ['linux/amd64'], ['linux/arm64/v8', 'linux/amd64/v2']])
      expect(resolve(wanted(), found(platforms), pods).digest).toBe(digest(1));
    expect(reasonOf(() => resolve(wanted(), found(['linux/arm64/v8']), pods))).toMatchObject([
      'refused',
      'wrong_platform',
      expect.stringContaining('made for linux/arm64/v8; pods here run on linux/amd64'),
    ]);
  });
});
