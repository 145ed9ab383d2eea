import { PlatformError } from '@gantry/contracts/errors';
import { describe, expect, it } from 'vitest';
import { parseImageReference } from './domain/image-reference.js';
import type { Lookup } from './domain/resolution.js';
import { createImageLookup, type Lookable } from './image-lookup.js';

const digest = `sha256:${'1'.repeat(64)}`;
const found: Lookup = { found: true, digest, platforms: ['linux/amd64'] };
const limited: Lookup = {
  found: false,
  failure: 'rate_limited',
  words: 'slow down',
  retryAfterMilliseconds: 60_000,
};
const ee: Lookable = {
  id: '0b9e6a4e-5d0b-4c56-9b0d-0d6a3a3f0001',
  image: 'quay.io/team/ee:1',
  organizationId: null,
  credentialId: null,
  digest,
  platforms: ['linux/amd64'],
};
const reference = parseImageReference(ee.image);
const elsewhere = parseImageReference('ghcr.io/team/ee:1');

/** A registry that answers when it is told to. */
const prepare = () => {
  const questions: { image: string; answer: (lookup: Lookup) => void }[] = [];
  const lookup = createImageLookup(
    (image) => new Promise((answer) => questions.push({ image: image.domain, answer })),
    () => Promise.reject(new PlatformError('unavailable', 'The vault is away.')),
  );
  return { lookup, questions };
};

describe('an image', () => {
  it('is asked about once for jobs that start together, and again for the next', async () => {
    const { lookup, questions } = prepare();
    const both = [lookup.now(ee, reference, {}, true), lookup.now(ee, reference, {}, true)];
    expect(questions.length).toBe(1);
    questions[0]!.answer(found);
    expect(await Promise.all(both)).toEqual([found, found]);
    void lookup.now(ee, reference, {}, true);
    expect(questions.length).toBe(2);
  });

  it('of a registry that says "later" is left alone by the schedule, and by launches that know a digest', async () => {
    const { lookup, questions } = prepare();
    const first = lookup.inTurn(ee, reference, {});
    questions[0]!.answer(limited);
    expect(await first).toEqual(limited);
    expect(lookup.waitsFor(reference)).toBeGreaterThan(0);
    expect(await lookup.inTurn(ee, reference, {})).toBeNull();
    expect(await lookup.now(ee, reference, {}, true)).toMatchObject({
      failure: 'rate_limited',
      words: 'slow down',
    });
    expect(questions.length).toBe(1);
    // Who knows nothing has to ask, and other registries have nothing to do with it.
    const asking = [lookup.now(ee, reference, {}, false), lookup.now(ee, elsewhere, {}, true)];
    expect(questions.map(({ image }) => image)).toEqual(['quay.io', 'quay.io', 'ghcr.io']);
    for (const { answer } of questions) answer(found);
    await Promise.all(asking);
    expect(lookup.waitsFor(reference)).toBe(0);
  });

  it('is not asked about without the login that it needs', async () => {
    const { lookup, questions } = prepare();
    const withLogin = { ...ee, credentialId: ee.id };
    await expect(lookup.now(withLogin, reference, {}, true)).rejects.toMatchObject({ code: 'unavailable' });
    expect(questions).toEqual([]);
  });
});
