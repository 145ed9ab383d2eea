/** Grants: made by the launcher, redeemed by a pod through ingest, closed when the job is over. docs/adr/0010. */
import { timingSafeEqual } from 'node:crypto';
import type { OutputOf, ReceivedBy } from '@gantry/contracts/command';
import {
  credentialEvents,
  type CloseGrant,
  type CreateGrant,
  type RedeemGrant,
} from '@gantry/contracts/credential';
import { PlatformError } from '@gantry/contracts/errors';
import { decideAndAppend, loadAggregate } from '@gantry/service/aggregate';
import { newId, type CallContext } from '@gantry/service/context';
import { openFields, sealFields, type Owner } from './adapters/envelope.js';
import { proofHolds, readSealingKey, readProofKey, type SealingKey } from './adapters/sealing-key.js';
import { PROOF_KEY } from './adapters/secret-store.js';
import { openCredential, readPinned } from './credential.commands.js';
import {
  closeGrant,
  createGrant,
  differs,
  evolveGrant,
  judgeRedemption,
  noGrant,
  recordRedemption,
  redemptionRefused,
  type GrantId,
  type PinnedCredential,
  type RedemptionOutcome,
} from './domain/grant.js';
import { injectCredentials, type OpenCredential } from './injection.js';
import { Secret } from './secret.js';
import type { Vault } from './vault.js';

const aggregate = ({ log }: Vault, { jobId, epoch }: GrantId) => ({
  log,
  stream: `grant-${jobId}-${epoch}`,
  initial: noGrant,
  evolve: evolveGrant,
  catalogue: credentialEvents,
});
const ownerOf = ({ jobId, epoch }: GrantId): Owner => ({ kind: 'grant', id: jobId, version: epoch });

/** Lets the pod of this attempt redeem these credentials. The same again is nothing. */
export const makeGrant = async (
  vault: Vault,
  input: ReceivedBy<typeof CreateGrant>,
  context: CallContext,
): Promise<OutputOf<typeof CreateGrant>> => {
  const { credentials } = input;
  const id = canonical(input);
  const proofKey = readProofKey(input.proofKey);
  for (const pin of credentials) await readPinned(vault, pin.id, pin.version);
  const eventId = newId();
  const { events } = await decideAndAppend({
    ...aggregate(vault, id),
    decide: (grant) => createGrant(grant, { ...id, eventId, credentials }),
    meta: context.meta(),
    inTransaction: (sql) =>
      vault.store.saveProofKey(
        sql,
        id.jobId,
        id.epoch,
        sealFields(vault.ring(), ownerOf(id), { [PROOF_KEY]: new Secret(proofKey.toString('base64url')) }),
      ),
  });
  const stored = events.length > 0 ? proofKey : await loadProofKey(vault, id);
  if (!stored || !timingSafeEqual(stored, proofKey)) throw differs(id);
  return {};
};

/**
 * Hands the credentials out, sealed to the pod's key. `grant.redeemed` is committed before the JWE leaves; what can fail
 * (a key that is missing, a ciphertext that was tampered with) fails before it.
 */
export const redeemGrant = async (
  vault: Vault,
  input: ReceivedBy<typeof RedeemGrant>,
  context: CallContext,
): Promise<OutputOf<typeof RedeemGrant>> => {
  const id = canonical(input);
  const sealingKey = await readSealingKey(input.publicKey);
  const { thumbprint } = sealingKey;
  const proofKey = await loadProofKey(vault, id);
  const proven = proofKey !== null && proofHolds(proofKey, id, thumbprint, input.proof);

  const { state: before } = await loadAggregate(aggregate(vault, id));
  const sealed = judgeRedemption(before, id, thumbprint, proven).redeemed
    ? await sealCredentials(vault, before.credentials, sealingKey)
    : null;

  let outcome: RedemptionOutcome | undefined;
  const eventId = newId();
  const { state } = await decideAndAppend({
    ...aggregate(vault, id),
    decide: (grant) =>
      recordRedemption(
        grant,
        id,
        thumbprint,
        (outcome = judgeRedemption(grant, id, thumbprint, proven)),
        eventId,
      ),
    meta: context.meta(),
  });
  if (!outcome!.redeemed) {
    context.logger.warn(
      { jobId: id.jobId, epoch: id.epoch, reason: outcome!.reason, thumbprint },
      'a redemption of credentials was refused',
    );
    throw redemptionRefused(outcome!.reason, id);
  }
  if (sealed === null && state.credentials.length > 0)
    throw new PlatformError('conflict', 'The grant was made this moment: ask again.');
  return { jwe: sealed };
};

/** Nothing more can be redeemed; the proof key is removed. The same again is nothing. */
export const endGrant = async (
  vault: Vault,
  input: ReceivedBy<typeof CloseGrant>,
  context: CallContext,
): Promise<OutputOf<typeof CloseGrant>> => {
  const id = canonical(input);
  const eventId = newId();
  await decideAndAppend({
    ...aggregate(vault, id),
    decide: (grant) => closeGrant(grant, { ...id, eventId }),
    meta: context.meta(),
    inTransaction: (sql) => vault.store.dropProofKey(sql, id.jobId, id.epoch),
  });
  return {};
};

// One spelling: the id is part of the stream's name, of the associated data and of the proof.
const canonical = ({ jobId, epoch }: GrantId): GrantId => ({ jobId: jobId.toLowerCase(), epoch });

const loadProofKey = async (vault: Vault, id: GrantId): Promise<Buffer | null> => {
  const sealed = await vault.store.loadProofKey(vault.pool, id.jobId, id.epoch);
  return sealed && readProofKey(openFields(vault.ring(), ownerOf(id), sealed)[PROOF_KEY]!.reveal());
};

const sealCredentials = async (
  vault: Vault,
  pins: readonly PinnedCredential[],
  sealingKey: SealingKey,
): Promise<string | null> => {
  if (pins.length === 0) return null;
  const plaintext = Buffer.from(
    JSON.stringify(injectCredentials(await openCredentials(vault, pins))),
    'utf8',
  );
  try {
    return await sealingKey.seal(plaintext);
  } finally {
    plaintext.fill(0);
  }
};

const openCredentials = (vault: Vault, pins: readonly PinnedCredential[]): Promise<OpenCredential[]> =>
  Promise.all(
    pins.map(async ({ id, version }) => openCredential(vault, await readPinned(vault, id, version))),
  );
