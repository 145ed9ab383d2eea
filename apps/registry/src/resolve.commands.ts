/** Saying which image a job runs, and what images mean. docs/adr/0027. */
import { authorize, can, type Principal } from '@gantry/contracts/access';
import type { OutputOf, ReceivedBy } from '@gantry/contracts/command';
import type {
  CheckImage,
  EeCandidate,
  EeSource,
  LookUpDigest,
  NoteDigest,
  ResolveExecutionEnvironment,
} from '@gantry/contracts/ee';
import { isPlatformError, PlatformError } from '@gantry/contracts/errors';
import { decideAndAppend } from '@gantry/service/aggregate';
import { newId, type CallContext } from '@gantry/service/context';
import { noSuchEnvironment, noteDigest, type FoundDigest } from './domain/execution-environment.js';
import { defaultPull, isEngineLocal, parseImageReference } from './domain/image-reference.js';
import {
  cannotResolve,
  checkPlatform,
  isTold,
  resolve,
  type Lookup,
  type Wanted,
} from './domain/resolution.js';
import {
  findDefault,
  findExecutionEnvironment,
  findFirstGlobal,
  type Found,
} from './execution-environment.projection.js';
import { wordsOfError } from './image-lookup.js';
import { aggregate, visible, type Registry } from './registry.js';

/** Which image this job runs, and why. Asks the image's registry unless nothing can be learnt from it. */
export const resolveExecutionEnvironment = async (
  registry: Registry,
  { candidates, organizationId, onlyLook }: ReceivedBy<typeof ResolveExecutionEnvironment>,
  context: CallContext,
): Promise<OutputOf<typeof ResolveExecutionEnvironment>> => {
  const { environment, from } = await choose(
    registry,
    candidates[0],
    organizationId.toLowerCase(),
    context.principal as Principal,
  );
  const wanted = wantedOf(environment, from);
  // What a digest names never changes: once it was seen, there is nothing to ask.
  const settled = wanted.reference.digest !== null && environment.digest === wanted.reference.digest;
  const lookup =
    isTold(wanted) && !settled
      ? await registry.lookup.now(environment, wanted.reference, context, hasDigest(wanted))
      : null;
  if (lookup) await keepLookup(registry, environment, lookup, 'launch', context);
  if (settled) checkPlatform(wanted, environment.platforms, registry.platforms);
  const resolved = resolve(wanted, lookup, registry.platforms);
  const previousDigest = onlyLook ? null : await keepUse(registry, environment, resolved.digest);
  return { ...resolved, previousDigest };
};

/** Is this very image still to be had, and may the job run in its execution environment? Asks its registry if told to. */
export const checkImage = async (
  registry: Registry,
  { candidate, organizationId, image, digest, ask }: ReceivedBy<typeof CheckImage>,
  context: CallContext,
): Promise<OutputOf<typeof CheckImage>> => {
  const principal = context.principal as Principal;
  const { environment } = await choose(registry, candidate, organizationId.toLowerCase(), principal);
  const credentialId = environment.credentialId ?? null;
  const reference = { ...parseImageReference(image), digest };
  if (!ask || isEngineLocal(reference)) return { found: 'unknown', words: '', credentialId };
  // By itself, not as what the tag means: nothing that is known of that helps here.
  const wanted = { ...environment, image: `${image}@${digest}`, digest: null, platforms: null };
  const lookup = await registry.lookup
    .now(wanted, reference, context, false)
    // The vault's word: the login is gone, or is for another registry.
    .catch((error: unknown) => ({
      found: false as const,
      failure: 'unauthorized' as const,
      words: wordsOfError(error),
    }));
  if (lookup.found) return { found: 'yes', words: '', credentialId };
  const { failure, words } = lookup;
  return { found: failure === 'not_found' ? 'gone' : 'unknown', words, credentialId };
};

/** Asks now, for a person. */
export const lookUpDigest = async (
  registry: Registry,
  { id }: ReceivedBy<typeof LookUpDigest>,
  context: CallContext,
): Promise<OutputOf<typeof LookUpDigest>> => {
  const principal = context.principal as Principal;
  const environment = await visible(registry, id, principal);
  authorize(
    principal,
    'use',
    environment.organizationId ?? null,
    `the execution environment ${environment.name}`,
  );
  const wanted = wantedOf(environment, 'setting');
  const { name, image, credentialId, organizationId } = environment;
  const about = { name, image, credentialId, organizationId, pull: wanted.pull };
  if (!isTold(wanted)) return { ...about, digest: environment.digest, platforms: environment.platforms };
  const lookup = await registry.lookup.now(environment, wanted.reference, context, false);
  await keepLookup(registry, environment, lookup, 'person', context);
  if (!lookup.found) throw cannotResolve(wanted, lookup.failure, lookup.words);
  return { ...about, digest: lookup.digest, platforms: lookup.platforms };
};

/** What an engine found the image to be, which a job of it runs. */
export const noteEngineDigest = async (
  registry: Registry,
  input: ReceivedBy<typeof NoteDigest>,
  context: CallContext,
): Promise<OutputOf<typeof NoteDigest>> => {
  if (!/^(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/.test(input.digest)) {
    throw new PlatformError('invalid', 'digest is not sha256: or sha512: with its hexadecimal digits.', {
      details: { field: 'digest' },
    });
  }
  const { image, digest } = input;
  await noteFoundDigest(registry, input.id.toLowerCase(), { image, digest, source: 'engine' }, context);
  return {};
};

/** What a lookup gave: a new digest becomes an event, the rest is kept for people to see. */
export const keepLookup = async (
  registry: Registry,
  { id, image, digest: known }: Pick<Found, 'id' | 'image' | 'digest'>,
  lookup: Lookup,
  source: FoundDigest['source'],
  context: CallContext,
): Promise<void> => {
  if (!lookup.found) {
    const { failure, words } = lookup;
    context.logger.warn({ image, failure, words }, 'the digest of an image could not be looked up');
    return keepAsked(registry, id, failure, words);
  }
  const { digest, platforms } = lookup;
  if (digest === known) return keepAsked(registry, id, null, null);
  const found = { image, digest, source, ...(platforms && { platforms }) };
  await Promise.all([
    keepAsked(registry, id, null, null),
    noteFoundDigest(registry, id, found, context).catch((error: unknown) => {
      // It was deleted meanwhile: the job goes on with what it was given.
      if (!isPlatformError(error) || error.code !== 'not_found') throw error;
    }),
  ]);
};

/** The outcome of the last time that a registry was asked. */
export const keepAsked = async (
  { pool, schema }: Registry,
  id: string,
  failure: string | null,
  words: string | null,
): Promise<void> => {
  await pool.query(
    `insert into ${schema}.execution_environment_lookup (execution_environment_id, asked_at, failure, words)
     values ($1, now(), $2, $3)
     on conflict (execution_environment_id) do update set asked_at = now(), failure = $2, words = $3`,
    [id, failure, words],
  );
};

/** With Kubernetes' pull policy filled in. */
export const wantedOf = (environment: Found, from: EeSource): Wanted => {
  const reference = parseImageReference(environment.image);
  return { environment, from, reference, pull: environment.pull ?? defaultPull(reference) };
};

const hasDigest = ({ environment, reference }: Wanted): boolean =>
  environment.digest !== null || reference.digest !== null;

/** The first candidate decides, for whoever may use it; without one the installation's default, then the first global one. */
const choose = async (
  registry: Registry,
  candidate: EeCandidate | undefined,
  organizationId: string,
  principal: Principal,
): Promise<{ environment: Found; from: EeSource }> => {
  if (!candidate) {
    const setting = await findDefault(registry);
    if (setting) return { environment: setting, from: 'setting' };
    const global = await findFirstGlobal(registry);
    if (global) return { environment: global, from: 'global' };
    throw new PlatformError(
      'refused',
      'The job names no execution environment, and this installation has no global one: make one, and make it the default.',
      { details: { reason: 'no_default' } },
    );
  }
  const { from, executionEnvironmentId: id } = candidate;
  const environment = await findExecutionEnvironment(registry, id.toLowerCase());
  if (!environment) throw noSuchEnvironment(id);
  const owner = environment.organizationId ?? null;
  const theirs = candidate.organizationId?.toLowerCase();
  if (owner === null || owner === organizationId || owner === theirs || can(principal, 'use', owner))
    return { environment, from };
  if (!can(principal, 'read', owner)) throw noSuchEnvironment(id);
  throw new PlatformError(
    'forbidden',
    `${principal.username} may not use the execution environment ${environment.name}: it belongs to another organization than the job.`,
    { details: { action: 'use', id: environment.id } },
  );
};

/** Remembers what this job was given; answers what the one before it was given, if that was something else. */
const keepUse = async (
  { pool, schema }: Registry,
  { id, image }: Found,
  digest: string | null,
): Promise<string | null> => {
  if (digest === null) return null;
  const { rows } = await pool.query<{ before: string | null }>(
    `with before as (select used_digest from ${schema}.execution_environment_lookup where execution_environment_id = $1 and used_image = $2)
     insert into ${schema}.execution_environment_lookup (execution_environment_id, used_image, used_digest, used_at) values ($1, $2, $3, now())
     on conflict (execution_environment_id) do update set used_image = $2, used_digest = $3, used_at = now()
     returning (select used_digest from before) as before`,
    [id, image, digest],
  );
  const before = rows[0]?.before ?? null;
  return before === digest ? null : before;
};

const noteFoundDigest = async (
  { log }: Registry,
  id: string,
  found: FoundDigest,
  context: CallContext,
): Promise<void> => {
  const eventId = newId();
  await decideAndAppend({
    ...aggregate(log, id),
    decide: (state) => noteDigest(state, id, found, eventId),
    meta: context.meta(),
  });
};
