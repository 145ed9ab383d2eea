/** Which image a job runs and why, from what is known and what the image's registry said. docs/adr/0027. */
import type { EeSource, ExecutionEnvironment, ResolvedImage } from '@gantry/contracts/ee';
import { PlatformError } from '@gantry/contracts/errors';
import type { PullPolicy } from './execution-environment.js';
import { isEngineLocal, type ImageReference } from './image-reference.js';

/** Why there is no digest. `away`: nobody answered; `rate_limited`: asked too often. Both may pass. */
export type LookupFailure = 'away' | 'rate_limited' | 'unauthorized' | 'not_found' | 'untrusted' | 'rejected';
/** What an image's registry said. `words` are its own, or what happened on the way to it. */
export type Lookup =
  | {
      found: true;
      digest: string;
      /** `linux/amd64`...; null = it does not say. */ platforms: string[] | null;
    }
  | { found: false; failure: LookupFailure; words: string; retryAfterMilliseconds?: number };

/** An execution environment whose image is looked for. */
export interface Wanted {
  environment: ExecutionEnvironment;
  from: EeSource;
  reference: ImageReference;
  /** Kubernetes' default filled in. */
  pull: PullPolicy;
}

const sentences: Record<EeSource, string> = {
  launch: 'the launch names it',
  job_template: 'the job template names it',
  project: 'the default of the project',
  organization: 'the default of the organization',
  inventory_organization: "the default of the inventory's organization",
  setting: 'the default of this installation',
  global: 'the first global execution environment: nothing names one, and this installation has no default',
};

/** Can a registry say anything about it? Not about what is local to an engine, or never pulled. */
export const isTold = ({ reference, pull }: Pick<Wanted, 'reference' | 'pull'>): boolean =>
  !isEngineLocal(reference) && pull !== 'never';

/**
 * The answer. `lookup` is null when the registry was not asked. An image that is known, or whose digest its reference has, can do
 * without its registry. Throws `refused` with a reason and the registry's words.
 */
export const resolve = (wanted: Wanted, lookup: Lookup | null, pods: readonly string[]): ResolvedImage => {
  const { environment, from, reference, pull } = wanted;
  const { id, name, image, credentialId, organizationId } = environment;
  const answer = (
    resolution: ResolvedImage['resolution'],
    digest: string | null,
    words: string | null = null,
    remark = '',
  ): ResolvedImage => ({
    id,
    name,
    image,
    pull,
    credentialId,
    organizationId,
    digest,
    from,
    resolution,
    words,
    reason: `${sentences[from]}${remark}`,
  });
  if (lookup?.found) checkPlatform(wanted, lookup.platforms, pods);
  if (reference.digest !== null) return answer('pinned', reference.digest);
  if (lookup === null) return answer('local', null);
  if (lookup.found) return answer('resolved', lookup.digest);

  const { failure, words } = lookup;
  const passing = failure === 'away' || failure === 'rate_limited';
  const state = failure === 'away' ? 'its registry is away' : 'its registry is asked too often';
  if (passing && environment.digest !== null) {
    const remark = `; ${state} (${words}), this is the image that was last known`;
    return answer('known', environment.digest, words, remark);
  }
  if (passing && pull === 'missing')
    return answer('local', null, words, `; ${state} (${words}), the machine may have the image`);
  throw cannotResolve(wanted, failure, words);
};

/** Throws `refused` with reason wrong_platform for an image that is made for none of these platforms. */
export const checkPlatform = (
  { environment: { name, image } }: Pick<Wanted, 'environment'>,
  platforms: readonly string[] | null,
  pods: readonly string[],
): void => {
  if (platforms === null || platforms.length === 0) return;
  const short = (platform: string): string => platform.split('/').slice(0, 2).join('/');
  if (platforms.some((platform) => pods.includes(short(platform)))) return;
  throw new PlatformError(
    'refused',
    `The image ${image} of ${name} is made for ${platforms.join(', ')}; pods here run on ${pods.join(' or ')}. Use an image that is made for it.`,
    { details: { reason: 'wrong_platform', image, platforms, pods } },
  );
};

/** A lookup that gave nothing, as the error of who cannot do without. */
export const cannotResolve = (
  { environment: { name, image }, pull }: Pick<Wanted, 'environment' | 'pull'>,
  failure: LookupFailure,
  words: string,
): PlatformError => {
  const said: Record<LookupFailure, [reason: string, sentence: string]> = {
    not_found: ['image_not_found', `its registry does not have it: ${words}. Check name and tag`],
    unauthorized: [
      'registry_unauthorized',
      `its registry refuses to show it: ${words}. Check the name, and the registry credential of the execution environment`,
    ],
    untrusted: [
      'registry_untrusted',
      `its registry cannot be trusted: ${words}. Add its authority with GANTRY_REGISTRY_CA_FILE`,
    ],
    rejected: ['registry_rejected', `its registry does not understand the question: ${words}`],
    rate_limited: [
      'registry_rate_limited',
      `its registry is asked too often: ${words}. Wait, use a registry credential, or a mirror (GANTRY_REGISTRY_MIRRORS)`,
    ],
    away: [
      'registry_unreachable',
      `its registry is away: ${words}${pull === 'always' ? '. Its pull policy is "always": with "missing", an image that the machine has would do' : ''}`,
    ],
  };
  const [reason, sentence] = said[failure];
  return new PlatformError('refused', `The image ${image} of ${name} cannot be used: ${sentence}.`, {
    details: { reason, image, words },
  });
};
