/** Making credentials and choosing those of a job. */
import { authorize, can, type Principal } from '@gantry/contracts/access';
import type { OutputOf, ReceivedBy } from '@gantry/contracts/command';
import {
  CredentialCreated,
  CredentialRotated,
  credentialEvents,
  ENCRYPTED,
  type CreateCredential,
  type PinCredentials,
  type RotateCredential,
} from '@gantry/contracts/credential';
import { makeEvent, parseEvent, type EventOf } from '@gantry/contracts/envelope';
import { PlatformError } from '@gantry/contracts/errors';
import { identifier, withTransaction, type Sql } from '@gantry/eventlog/sql';
import { newId, type CallContext } from '@gantry/service/context';
import { once } from '@gantry/service/idempotency';
import { openFields, sealFields } from './adapters/envelope.js';
import { looksLikeCertificate, tryPrivateKey, type KeyVerdict } from './adapters/ssh-key.js';
import { findCredentials } from './credential.projection.js';
import { findType, typeDefinitions, type TypeDefinition } from './domain/credential-type.js';
import { checkInputs, wrong, type CheckedInputs } from './domain/inputs.js';
import { checkPins, noSuchCredential } from './domain/pinning.js';
import type { OpenCredential } from './injection.js';
import { Secret } from './secret.js';
import type { Vault } from './vault.js';

/** A version of a credential, as its events say it. */
export type CredentialVersion = Omit<EventOf<typeof CredentialCreated>['data'], 'version'> & {
  version: number;
};

/** Stream of a credential. */
const streamOf = (id: string): string => `credential-${id}`;

/** Makes a credential: who may administer its organization may. */
export const createCredential = async (
  vault: Vault,
  input: ReceivedBy<typeof CreateCredential>,
  context: CallContext,
): Promise<OutputOf<typeof CreateCredential>> => {
  const principal = context.principal as Principal;
  const { name, description, organizationId, credentialType } = input;
  authorize(principal, 'admin', organizationId, 'the credentials of this organization');
  const definition = findType(credentialType);
  if (!definition) {
    const known = typeDefinitions.map(({ type }) => type.id).join(', ');
    throw new PlatformError('invalid', `There is no credential type of this id. There are: ${known}.`, {
      details: { field: 'credentialType' },
    });
  }
  const inputs = checkInputs(definition, input.inputs);
  await checkKey(definition, inputs);

  const scope = `credential.create:${principal.userId}`;
  return once(vault, { scope, key: input.idempotencyKey }, async (sql, id) => {
    await reserveName(vault, sql, { id, organizationId, credentialType, name });
    const event = makeEvent(CredentialCreated, newId(), {
      credentialId: id,
      name,
      description,
      organizationId,
      credentialType,
      version: 1,
      inputs: inputs.plain,
      secretFields: Object.keys(inputs.secret),
    });
    await vault.log.appendIn(sql, streamOf(id), 0, [event], context.meta());
    await saveSecrets(vault, sql, id, 1, inputs.secret);
  });
};

/** Other inputs from here on; what is left out stays as it is. */
export const rotateCredential = async (
  vault: Vault,
  { id, inputs: given }: ReceivedBy<typeof RotateCredential>,
  context: CallContext,
): Promise<OutputOf<typeof RotateCredential>> => {
  const principal = context.principal as Principal;
  const before = await readPinned(vault, id.toLowerCase(), 'newest');
  const { credentialId, name, organizationId } = before;
  if (!can(principal, 'read', organizationId)) throw noSuchCredential(id);
  authorize(principal, 'admin', organizationId, `the credential ${name}`);
  const { definition, plain, secret } = await openCredential(vault, before);
  const kept = Object.fromEntries(Object.entries(secret).map(([field, value]) => [field, value.reveal()]));
  const changes = Object.entries(given).filter(([, value]) => value !== ENCRYPTED);
  const inputs = checkInputs(definition, { ...plain, ...kept, ...Object.fromEntries(changes) });
  await checkKey(definition, inputs);
  const version = before.version + 1;
  await withTransaction(vault.pool, async (sql) => {
    const data = { credentialId, version, inputs: inputs.plain, secretFields: Object.keys(inputs.secret) };
    // Each event of its stream is a version: whoever comes second is told.
    const rotated = makeEvent(CredentialRotated, newId(), data);
    await vault.log.appendIn(sql, streamOf(credentialId), before.version, [rotated], context.meta());
    await saveSecrets(vault, sql, credentialId, version, inputs.secret);
  });
  return { version };
};

const saveSecrets = async (
  vault: Vault,
  sql: Sql,
  id: string,
  version: number,
  texts: Record<string, string>,
): Promise<void> => {
  const secrets = Object.fromEntries(Object.entries(texts).map(([field, text]) => [field, new Secret(text)]));
  if (Object.keys(secrets).length === 0) return;
  const sealed = sealFields(vault.ring(), { kind: 'credential', id, version }, secrets);
  await vault.store.saveCredential(sql, id, version, sealed);
};

const reserveName = async (
  { log }: Vault,
  sql: Sql,
  {
    id,
    organizationId,
    credentialType,
    name,
  }: { id: string; organizationId: string; credentialType: string; name: string },
): Promise<void> => {
  const { rows } = await sql.query(
    `insert into ${identifier(log.schema)}.credential_name (organization_id, credential_type, name, credential_id)
     values ($1, $2, $3, $4) on conflict do nothing returning credential_id`,
    [organizationId, credentialType, name, id],
  );
  if (rows.length > 0) return;
  throw new PlatformError(
    'refused',
    `The organization has a credential of this type called ${name} already: choose another name.`,
    {
      details: { reason: 'name_taken', field: 'name' },
    },
  );
};

const checkKey = async ({ type, inject }: TypeDefinition, { secret }: CheckedInputs): Promise<void> => {
  const keyField = type.fields.find((field) => field.format === 'ssh_private_key')?.id;
  if (keyField === undefined) return;
  const passphraseField = inject.sshKey?.passphrase ?? 'ssh_key_unlock';
  const [key, passphrase] = [secret[keyField], secret[passphraseField]];
  if (key === undefined) {
    if (passphrase !== undefined)
      throw wrong(type, passphraseField, `is the passphrase of a key, but there is none in ${keyField}`);
  } else {
    const verdict = await tryPrivateKey(key, passphrase ?? null);
    if (verdict !== 'good') throw keyProblem(type, keyField, passphraseField, verdict);
  }
  const certificate = inject.sshKey && secret[inject.sshKey.certificate];
  if (inject.sshKey && certificate !== undefined) {
    if (key === undefined)
      throw wrong(
        type,
        inject.sshKey.certificate,
        `belongs to a private key, but there is none in ${keyField}`,
      );
    if (!looksLikeCertificate(certificate))
      throw wrong(
        type,
        inject.sshKey.certificate,
        'is not an OpenSSH certificate: give what ssh-keygen -s has written, one line',
      );
  }
};

const keyProblem = (
  type: TypeDefinition['type'],
  key: string,
  passphrase: string,
  verdict: Exclude<KeyVerdict, 'good'>,
): PlatformError => {
  switch (verdict) {
    case 'malformed':
      return wrong(
        type,
        key,
        'is not a private key that ssh can read: give the whole file, from its BEGIN line to its END line',
      );
    case 'passphrase_needed':
      return wrong(type, key, `is protected by a passphrase: give it in ${passphrase}`);
    case 'passphrase_wrong':
      return wrong(type, passphrase, `does not open the key in ${key}`);
    case 'passphrase_unused':
      return wrong(type, passphrase, `is given, but the key in ${key} has no passphrase: leave it out`);
    case 'too_slow':
      return wrong(type, key, 'takes too long to open: lower its rounds with ssh-keygen -p -a 16');
  }
};

/** Ids to ids with versions, if this person may give them to a job and one job can hold them all. */
export const pinCredentials = async (
  vault: Vault,
  { credentialIds, prompted }: ReceivedBy<typeof PinCredentials>,
  context: CallContext,
): Promise<OutputOf<typeof PinCredentials>> => {
  const ids = [...new Set([...credentialIds, ...prompted].map((id) => id.toLowerCase()))];
  const found = new Map((await findCredentials(vault, ids)).map((credential) => [credential.id, credential]));
  const credentials = ids.map((id) => {
    const credential = found.get(id);
    if (!credential) throw noSuchCredential(id);
    return credential;
  });
  checkPins(credentials, new Set(prompted.map((id) => id.toLowerCase())), context.principal as Principal);
  return {
    credentials: credentials.map(({ id, version, name, credentialType }) => ({
      id,
      version,
      name,
      credentialType,
    })),
  };
};

/** A credential as it was at a version, or is now, by its stream: names and inputs, no secrets. Throws `not_found`. */
export const readPinned = async (
  { log }: Vault,
  id: string,
  version: number | 'newest',
): Promise<CredentialVersion> => {
  let [newest, found]: (CredentialVersion | undefined)[] = [];
  for (const stored of await log.readStream(streamOf(id))) {
    const event = parseEvent(credentialEvents, stored);
    if (event?.type !== 'credential.created' && event?.type !== 'credential.rotated') continue;
    newest = event.type === 'credential.created' ? event.data : { ...newest!, ...event.data };
    if (version === 'newest' || newest.version === version) found = newest;
  }
  if (found) return found;
  if (version === 'newest') throw noSuchCredential(id);
  throw new PlatformError('not_found', `There is no version ${version} of the credential ${id}.`, {
    details: { id, version },
  });
};

/** A credential with its secrets. Throws `defect` if one that was given is not there any more, or was tampered with. */
export const openCredential = async (
  vault: Vault,
  credential: CredentialVersion,
): Promise<OpenCredential> => {
  const { credentialId: id, version, name, credentialType, inputs, secretFields } = credential;
  const sealed = await vault.store.loadCredential(vault.pool, id, version);
  const secret = sealed ? openFields(vault.ring(), { kind: 'credential', id, version }, sealed) : {};
  const definition = findType(credentialType);
  if (!definition)
    throw new PlatformError(
      'unavailable',
      `The credential ${name} is of the type ${credentialType}, which this build does not know: upgrade the vault.`,
    );
  if (secretFields.some((field) => !secret[field])) {
    throw new PlatformError(
      'defect',
      `Secrets of the credential ${name} are missing from the vault's tables: restore them from a backup.`,
      {
        details: { reason: 'integrity', id, version },
      },
    );
  }
  return { name, definition, plain: inputs, secret };
};
