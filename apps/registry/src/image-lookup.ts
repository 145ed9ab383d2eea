/** Asks images' registries on behalf of execution environments: with their login, one question at a time for each image, and with back-off. */
import type { ExecutionEnvironment } from '@gantry/contracts/ee';
import { asPlatformError } from '@gantry/contracts/errors';
import type { ServiceKit } from '@gantry/service/kit';
import { askRegistryLogin } from '@gantry/service/registry-login';
import { patientLimits, type LookupImage } from './adapters/oci-registry.js';
import type { LookupLimits } from './adapters/oci-http.js';
import { afterFailure, type Waiting } from './domain/back-off.js';
import type { ImageReference } from './domain/image-reference.js';
import type { Lookup } from './domain/resolution.js';

/** On whose behalf: correlation and the like, for the vault. */
export type LookupContext = Parameters<ServiceKit['call']>[2];

/** Asks for one execution environment. Throws what the vault says of its credential, nothing else. */
export interface ImageLookup {
  /** For a job, or a person. `hurry`: something is known already, and the job does not wait long for more. */
  now(wanted: Lookable, reference: ImageReference, context: LookupContext, hurry: boolean): Promise<Lookup>;
  /** For the schedule: null while the registry is left alone. */
  inTurn(wanted: Lookable, reference: ImageReference, context: LookupContext): Promise<Lookup | null>;
  /** Milliseconds until the schedule may ask this image's registry again; 0 for now. */
  waitsFor(reference: ImageReference): number;
}

/** What a lookup needs of an execution environment. */
export type Lookable = Pick<
  ExecutionEnvironment,
  'id' | 'image' | 'organizationId' | 'credentialId' | 'digest'
> & { platforms: string[] | null };

const hurriedLimits: LookupLimits = { request: 3_000, whole: 4_000 };

/** With a client of registries and a way to the vault. */
export const createImageLookup = (lookup: LookupImage, call: ServiceKit['call']): ImageLookup => {
  const waiting = new Map<string, Waiting>();
  const underWay = new Map<string, Promise<Lookup>>();

  const ask = async (
    wanted: Lookable,
    reference: ImageReference,
    context: LookupContext,
    limits: LookupLimits,
  ): Promise<Lookup> => {
    const { credentialId, organizationId = null, digest, platforms } = wanted;
    const host = reference.domain;
    const login = credentialId
      ? await askRegistryLogin(call, { credentialId, organizationId, host }, context)
      : null;
    const known = digest !== null && platforms !== null ? { digest, platforms } : null;
    const began = performance.now();
    const found = await lookup(reference, { login, known, limits });
    const now = performance.now();
    if (!found.found && (found.failure === 'away' || found.failure === 'rate_limited')) {
      const failure = { ...found, failure: found.failure, tookMilliseconds: now - began };
      waiting.set(host, afterFailure(waiting.get(host), failure, now, Math.random()));
    } else waiting.delete(host);
    return found;
  };

  /** Jobs that start together ask once. */
  const shared = (
    wanted: Lookable,
    reference: ImageReference,
    context: LookupContext,
    limits: LookupLimits,
  ): Promise<Lookup> => {
    const key = `${wanted.id} ${wanted.image} ${wanted.credentialId ?? ''} ${limits.whole}`;
    const before = underWay.get(key);
    if (before) return before;
    const asking = ask(wanted, reference, context, limits).finally(() => underWay.delete(key));
    underWay.set(key, asking);
    return asking;
  };

  return {
    now: async (wanted, reference, context, hurry) => {
      const spared = waiting.get(reference.domain);
      if (hurry && spared && spared.spareUntil > performance.now())
        return { found: false, failure: spared.failure, words: spared.words };
      return shared(wanted, reference, context, hurry ? hurriedLimits : patientLimits);
    },
    inTurn: async (wanted, reference, context) =>
      (waiting.get(reference.domain)?.retryAt ?? 0) > performance.now()
        ? null
        : shared(wanted, reference, context, patientLimits),
    waitsFor: ({ domain }) => Math.max(0, (waiting.get(domain)?.retryAt ?? 0) - performance.now()),
  };
};

/** An error of the vault, as the words of a lookup that gave nothing. */
export const wordsOfError = (error: unknown): string => asPlatformError(error).message;
