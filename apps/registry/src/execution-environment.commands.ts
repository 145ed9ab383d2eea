/** Registering execution environments, and saying which image a job runs. */
import { authorize, can, type Principal } from '@gantry/contracts/access';
import type { OutputOf, ReceivedBy } from '@gantry/contracts/command';
import type {
  ExecutionEnvironment,
  MakeDefaultExecutionEnvironment,
  NoteDigest,
  RegisterExecutionEnvironment,
  ResolveExecutionEnvironment,
} from '@gantry/contracts/ee';
import { PlatformError } from '@gantry/contracts/errors';
import { identifier } from '@gantry/eventlog/sql';
import { decideAndAppend } from '@gantry/service/aggregate';
import { newId, type CallContext } from '@gantry/service/context';
import { once } from '@gantry/service/idempotency';
import type { LookupFailure } from './adapters/oci-registry.js';
import {
  makeDefault,
  noSuchEnvironment,
  noteDigest,
  register,
  type PullPolicy,
} from './domain/execution-environment.js';
import {
  defaultPull,
  formatImageReference,
  isEngineLocal,
  parseImageReference,
} from './domain/image-reference.js';
import { findExecutionEnvironment } from './execution-environment.projection.js';
import { aggregate, type Registry } from './registry.js';

/** Registers one: for an organization its administrators may, for all of them superusers. */
export const registerExecutionEnvironment = async (
  registry: Registry,
  input: ReceivedBy<typeof RegisterExecutionEnvironment>,
  context: CallContext,
): Promise<OutputOf<typeof RegisterExecutionEnvironment>> => {
  const principal = context.principal as Principal;
  const { name, description, pull = null } = input;
  const organizationId = input.organizationId ?? null;
  authorize(
    principal,
    'admin',
    organizationId,
    organizationId === null
      ? 'execution environments of all organizations'
      : 'the execution environments of this organization',
  );
  const image = formatImageReference(parseImageReference(input.image));
  if (input.credentialId) {
    throw new PlatformError(
      'refused',
      'Credentials of image registries are not used yet: leave the credential out and give an image that anybody may pull, or one that is on the machine.',
      {
        details: { reason: 'registry_credential', field: 'credentialId' },
      },
    );
  }
  const scope = `execution_environment.register:${principal.userId}`;
  return once(registry, { scope, key: input.idempotencyKey }, async (sql, id) => {
    const { rows } = await sql.query(
      `insert into ${identifier(registry.log.schema)}.execution_environment_name (name, execution_environment_id) values ($1, $2)
       on conflict do nothing returning name`,
      [name, id],
    );
    if (rows.length === 0) {
      throw new PlatformError(
        'refused',
        `There is an execution environment called ${name} already: choose another name.`,
        { details: { reason: 'name_taken', field: 'name' } },
      );
    }
    const events = register(id, { name, description, organizationId, image, pull, managed: false }, newId());
    await registry.log.appendIn(sql, aggregate(registry.log, id).stream, 0, events, context.meta());
  });
};

/** The default of jobs that name none: superusers choose it. */
export const makeDefaultExecutionEnvironment = async (
  registry: Registry,
  { id }: ReceivedBy<typeof MakeDefaultExecutionEnvironment>,
  context: CallContext,
): Promise<OutputOf<typeof MakeDefaultExecutionEnvironment>> => {
  authorize(context.principal as Principal, 'admin', null, 'the default execution environment');
  if ((await findExecutionEnvironment(registry, null))?.id === id.toLowerCase()) return {};
  const eventId = newId();
  await decideAndAppend({
    ...aggregate(registry.log, id.toLowerCase()),
    decide: (state) => makeDefault(state, id.toLowerCase(), eventId),
    meta: context.meta(),
  });
  return {};
};

/** Which image this job runs, and why. Asks the image's registry unless only the pod's engine can know. */
export const resolveExecutionEnvironment = async (
  registry: Registry,
  input: ReceivedBy<typeof ResolveExecutionEnvironment>,
  context: CallContext,
): Promise<OutputOf<typeof ResolveExecutionEnvironment>> => {
  const environment = await choose(registry, input, context.principal as Principal);
  const { id, name, image, credentialId, organizationId } = environment;
  const reference = parseImageReference(image);
  const pull = environment.pull ?? defaultPull(reference);
  const why = input.executionEnvironmentId ? 'the job template names it' : 'the default of this installation';
  const answer = (digest: string | null, remark = '') => ({
    id,
    name,
    image,
    pull,
    credentialId,
    organizationId,
    digest,
    reason: `${why}${remark}`,
  });

  if (reference.digest !== null) return answer(reference.digest);
  if (isEngineLocal(reference) || pull === 'never') return answer(null);
  const lookup = await registry.lookup(reference);
  if (lookup.found) {
    await noteFoundDigest(registry, { id, image, digest: lookup.digest }, context);
    return answer(lookup.digest);
  }
  const { failure, words } = lookup;
  context.logger.warn({ image, failure, words }, 'the digest of an image could not be looked up');
  if (failure === 'away' && pull !== 'always' && environment.digest !== null) {
    return answer(
      environment.digest,
      `; its registry is away (${words}), this is the image that was last known`,
    );
  }
  if (failure === 'away' && pull === 'missing')
    return answer(null, `; its registry is away (${words}), the machine may have the image`);
  throw cannotResolve(environment, failure, words, pull);
};

const choose = async (
  registry: Registry,
  { executionEnvironmentId, organizationId }: ReceivedBy<typeof ResolveExecutionEnvironment>,
  principal: Principal,
): Promise<ExecutionEnvironment> => {
  const environment = await findExecutionEnvironment(registry, executionEnvironmentId ?? null);
  if (!environment && executionEnvironmentId) throw noSuchEnvironment(executionEnvironmentId);
  if (!environment) {
    throw new PlatformError(
      'refused',
      'The job names no execution environment and this installation has no default: make one the default.',
      { details: { reason: 'no_default' } },
    );
  }
  const owner = environment.organizationId ?? null;
  if (owner === null || owner === organizationId.toLowerCase() || can(principal, 'use', owner))
    return environment;
  if (!can(principal, 'read', owner)) throw noSuchEnvironment(environment.id);
  throw new PlatformError(
    'forbidden',
    `${principal.username} may not use the execution environment ${environment.name}: it belongs to another organization than the job.`,
    {
      details: { action: 'use', id: environment.id },
    },
  );
};

const cannotResolve = (
  { name, image }: ExecutionEnvironment,
  failure: LookupFailure,
  words: string,
  pull: PullPolicy,
): PlatformError => {
  const said: Record<LookupFailure, [reason: string, sentence: string]> = {
    not_found: ['image_not_found', `its registry does not have it: ${words}. Check name and tag`],
    unauthorized: [
      'registry_unauthorized',
      `its registry refuses to show it: ${words}. Check the name; images that need a login cannot be used yet`,
    ],
    untrusted: [
      'registry_untrusted',
      `its registry cannot be trusted: ${words}. Add its authority with NODE_EXTRA_CA_CERTS`,
    ],
    rejected: ['registry_rejected', `its registry does not understand the question: ${words}`],
    away: [
      'registry_unreachable',
      `its registry is away: ${words}. Its pull policy is "${pull}": with "missing", an image that the machine has would do`,
    ],
  };
  const [reason, sentence] = said[failure];
  return new PlatformError('refused', `The image ${image} of ${name} cannot be used: ${sentence}.`, {
    details: { reason, image, words },
  });
};

/** What an engine found the image to be. */
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
  await noteFoundDigest(registry, { ...input, id: input.id.toLowerCase() }, context);
  return {};
};

const noteFoundDigest = async (
  { log }: Registry,
  { id, image, digest }: { id: string; image: string; digest: string },
  context: CallContext,
): Promise<void> => {
  const eventId = newId();
  await decideAndAppend({
    ...aggregate(log, id),
    decide: (state) => noteDigest(state, id, { image, digest }, eventId),
    meta: context.meta(),
  });
};
