/** Vault: credential types, credentials and one-time grants. Streams `credential-<id>`, `grant-<jobId>-<epoch>`. */
import { z } from 'zod';
import { command, Created, Id, IdempotencyKey, Name, pageOf, PageRequest } from './command.js';
import { event } from './envelope.js';

/** What a query shows in place of a secret; sent back, it keeps the stored value. */
export const ENCRYPTED = '$encrypted$';

/** A field of a credential type, in AWX's schema. */
export const CredentialField = z.object({
  id: z.string(),
  label: z.string(),
  type: z.enum(['string', 'boolean']).default('string'),
  format: z.enum(['ssh_private_key', 'url']).optional(),
  secret: z.boolean().default(false),
  multiline: z.boolean().default(false),
  helpText: z.string().default(''),
  choices: z.array(z.string()).optional(),
  /** What an input that is left out means. */
  default: z.union([z.string(), z.boolean()]).optional(),
});
/** A credential type: what may be filled in. */
export const CredentialType = z.object({
  /** AWX's namespace: `ssh`, `vault`, `registry`... */
  id: z.string(),
  name: z.string(),
  kind: z.string(),
  fields: z.array(CredentialField),
  required: z.array(z.string()),
});
/** A credential type: what may be filled in. */
export type CredentialType = z.output<typeof CredentialType>;

/** `inputs` are those that are not secret; `secretFields` says which secret ones are set. Their values are never in an event. */
export const CredentialCreated = event(
  'credential.created',
  1,
  z.object({
    credentialId: Id,
    name: Name,
    description: z.string(),
    organizationId: Id,
    credentialType: z.string(),
    version: z.literal(1),
    inputs: z.record(z.string(), z.unknown()),
    secretFields: z.array(z.string()),
  }),
);
/** Other inputs from here on, at the next version. What was pinned before keeps its own. */
export const CredentialRotated = event(
  'credential.rotated',
  1,
  z.object({
    credentialId: Id,
    version: z.number().int().min(2),
    inputs: z.record(z.string(), z.unknown()),
    secretFields: z.array(z.string()),
  }),
);
const PinnedCredential = z.object({ id: Id, version: z.number().int().min(1) });
/** The pod of this attempt may redeem these credentials. */
export const GrantCreated = event(
  'grant.created',
  1,
  z.object({ jobId: Id, epoch: z.number().int(), credentials: z.array(PinnedCredential) }),
);
/** Committed before the credentials leave; `thumbprint`: RFC 7638, of the key they are sealed to. */
export const GrantRedeemed = event(
  'grant.redeemed',
  1,
  z.object({ jobId: Id, epoch: z.number().int(), thumbprint: z.string() }),
);
/** Somebody tried to redeem a grant that was used, closed, or not theirs: people must see it. */
export const GrantRedemptionRefused = event(
  'grant.redemption_refused',
  1,
  z.object({
    jobId: Id,
    epoch: z.number().int(),
    reason: z.enum(['already_redeemed', 'closed', 'bad_proof']),
    thumbprint: z.string(),
  }),
);
/** Nothing can be redeemed any more. */
export const GrantClosed = event('grant.closed', 1, z.object({ jobId: Id, epoch: z.number().int() }));
/** The vault's events. */
export const credentialEvents = {
  CredentialCreated,
  CredentialRotated,
  GrantCreated,
  GrantRedeemed,
  GrantRedemptionRefused,
  GrantClosed,
};

/** A credential, as queries give it: secret inputs read `$encrypted$`. */
export const Credential = z.object({
  id: Id,
  name: Name,
  description: z.string(),
  organizationId: Id,
  credentialType: z.string(),
  version: z.number().int(),
  inputs: z.record(z.string(), z.unknown()),
  createdAt: z.string(),
});
/** A credential, as queries give it. */
export type Credential = z.output<typeof Credential>;

/** All credential types; everybody may see them. */
export const ListCredentialTypes = command('vault.credential_type.list', {
  callers: ['gateway'],
  input: z.object({}),
  output: z.object({ items: z.array(CredentialType) }),
});
/** `invalid` names the field that is wrong (a key that does not parse, a passphrase that does not open it, a secret too short to mask) and never quotes it. */
export const CreateCredential = command('vault.credential.create', {
  callers: ['gateway'],
  input: z.object({
    name: Name,
    description: z.string().max(10_000).default(''),
    organizationId: Id,
    credentialType: z.string().max(100),
    inputs: z.record(z.string(), z.unknown()),
    idempotencyKey: IdempotencyKey.nullish(),
  }),
  output: Created,
});
/**
 * Replaces inputs: those that are given; null takes one away, `$encrypted$` and what is left out stay. Jobs that are launched from then on
 * get the new values. Needs `admin`. Errors: not_found, forbidden, invalid as when created, conflict (rotated by somebody else at once).
 */
export const RotateCredential = command('vault.credential.rotate', {
  callers: ['gateway'],
  input: z.object({ id: Id, inputs: z.record(z.string(), z.unknown()) }),
  output: z.object({ version: z.number().int() }),
});
/** By name: those that the person may read. */
export const ListCredentials = command('vault.credential.list', {
  callers: ['gateway'],
  input: PageRequest.extend({ ids: z.array(Id).max(200).nullish() }),
  output: pageOf(Credential),
});
/** Ids to ids with versions. `prompted` ones need `use` by the launching person. Errors: not_found, forbidden, refused (two of one type). */
export const PinCredentials = command('vault.credential.pin', {
  callers: ['launcher'],
  principal: true,
  input: z.object({ credentialIds: z.array(Id), prompted: z.array(Id) }),
  output: z.object({
    credentials: z.array(PinnedCredential.extend({ name: z.string(), credentialType: z.string() })),
  }),
});
/** Lets the pod of this attempt redeem these credentials once. Idempotent. `proofKey`: base64url, docs/PROTOCOL.md 1.1. */
export const CreateGrant = command('vault.grant.create', {
  callers: ['launcher'],
  input: z.object({
    jobId: Id,
    epoch: z.number().int().min(1),
    credentials: z.array(PinnedCredential),
    proofKey: z.string(),
  }),
  output: z.object({}),
});
/** In the pod's name, by ingest. The JWE is for `publicKey` alone; null if the grant holds no credential. Errors: forbidden with reason already_redeemed | closed | bad_proof. */
export const RedeemGrant = command('vault.grant.redeem', {
  callers: ['ingest'],
  input: z.object({
    jobId: Id,
    epoch: z.number().int(),
    publicKey: z.record(z.string(), z.unknown()),
    proof: z.string(),
  }),
  output: z.object({ jwe: z.string().nullable() }),
});
/** The job is over: nothing more can be redeemed. Idempotent. */
export const CloseGrant = command('vault.grant.close', {
  callers: ['launcher'],
  input: z.object({ jobId: Id, epoch: z.number().int() }),
  output: z.object({}),
});
/**
 * The name and password with which Gantry itself asks an image's registry. `organizationId` is that of the execution environment which
 * names the credential, null for a global one; `host` is the registry that is about to be asked (`quay.io`, `localhost:5000`).
 * `sealed`: a compact JWE (ECDH-ES, A256GCM) of `{"password": "..."}` for `publicKey`, a P-256 JWK that the caller made for this one call.
 * Errors: not_found (also for another organization's), invalid (publicKey), refused with reason credential_kind | registry_host
 * (a password is sent to no other registry than its own).
 */
export const RegistryLogin = command('vault.credential.registry_login', {
  callers: ['launcher', 'registry'],
  input: z.object({
    credentialId: Id,
    organizationId: Id.nullable(),
    host: z.string().min(1).max(512),
    publicKey: z.record(z.string(), z.unknown()),
  }),
  output: z.object({
    /** Empty if the credential has none: then a registry is asked without a login. */
    username: z.string(),
    verifySsl: z.boolean(),
    sealed: z.string(),
  }),
});
/** The vault's commands and queries. */
export const credentialCommands = [
  ListCredentialTypes,
  CreateCredential,
  RotateCredential,
  ListCredentials,
  PinCredentials,
  RegistryLogin,
  CreateGrant,
  RedeemGrant,
  CloseGrant,
] as const;
