/**
 * A grant: the pod of one attempt of a job may redeem these credentials, once.
 *
 * States: none -> open -> redeemed -> closed, open -> closed, none -> closed (a late `create` must not open it again).
 * open: the first redemption with a good proof commits `grant.redeemed`, and only then may the sealed credentials leave.
 * redeemed: the same public key gets them again (its answer was lost, and only its holder can open them); another key
 *   is refused and raises an alarm (docs/adr/0010).
 * closed: nothing can be redeemed; an attempt raises an alarm.
 */
import type { EventOf } from '@gantry/contracts/envelope';
import { makeEvent, type NewEvent } from '@gantry/contracts/envelope';
import {
  GrantClosed,
  GrantCreated,
  GrantRedeemed,
  GrantRedemptionRefused,
  type credentialEvents,
} from '@gantry/contracts/credential';
import { PlatformError } from '@gantry/contracts/errors';

/** A credential at the version that the job was pinned to. */
export interface PinnedCredential {
  id: string;
  version: number;
}

/** What is known of a grant. */
export interface Grant {
  state: 'none' | 'open' | 'redeemed' | 'closed';
  credentials: PinnedCredential[];
  /** RFC 7638 thumbprint of the key that it was redeemed with. */
  thumbprint: string | null;
  /** Alarms so far. */
  refusals: number;
}

/** Which grant; its stream is `grant-<jobId>-<epoch>`. */
export interface GrantId {
  jobId: string;
  epoch: number;
}

/** Before the first event. */
export const noGrant: Grant = { state: 'none', credentials: [], thumbprint: null, refusals: 0 };

type GrantEvent = EventOf<(typeof credentialEvents)[keyof typeof credentialEvents]>;

/** The grant after an event. */
export const evolveGrant = (grant: Grant, event: GrantEvent): Grant => {
  switch (event.type) {
    case 'grant.created':
      return { ...grant, state: 'open', credentials: event.data.credentials };
    case 'grant.redeemed':
      return { ...grant, state: 'redeemed', thumbprint: event.data.thumbprint };
    case 'grant.redemption_refused':
      return { ...grant, refusals: grant.refusals + 1 };
    case 'grant.closed':
      return { ...grant, state: 'closed' };
    default:
      return grant;
  }
};

/** Opens it. The same again is nothing; other credentials, or one that is closed, is `refused`. */
export const createGrant = (
  grant: Grant,
  command: GrantId & { eventId: string; credentials: PinnedCredential[] },
): NewEvent[] => {
  const { eventId, jobId, epoch, credentials } = command;
  if (grant.state === 'none') return [makeEvent(GrantCreated, eventId, { jobId, epoch, credentials })];
  if (grant.state === 'closed') {
    throw new PlatformError(
      'refused',
      `Attempt ${epoch} of job ${jobId} is over: its credentials cannot be granted any more.`,
      {
        details: { reason: 'closed', jobId, epoch },
      },
    );
  }
  const same =
    credentials.length === grant.credentials.length &&
    credentials.every(
      ({ id, version }, n) => grant.credentials[n]!.id === id && grant.credentials[n]!.version === version,
    );
  if (!same) throw differs({ jobId, epoch });
  return [];
};

/** `refused`: there is a grant for this attempt, with other credentials or another proof key. */
export const differs = ({ jobId, epoch }: GrantId): PlatformError =>
  new PlatformError(
    'refused',
    `Attempt ${epoch} of job ${jobId} was granted something else before: begin a new attempt.`,
    {
      details: { reason: 'grant_differs', jobId, epoch },
    },
  );

/** Why a redemption is refused. */
export type Refusal = 'already_redeemed' | 'closed' | 'bad_proof';

/** What a redemption comes to. `again`: the same key asks once more, nothing is to be recorded. */
export type RedemptionOutcome = { redeemed: true; again: boolean } | { redeemed: false; reason: Refusal };

/** Decides about a redemption with a proof that holds or does not. Throws `not_found` where nothing was granted. */
export const judgeRedemption = (
  grant: Grant,
  { jobId, epoch }: GrantId,
  thumbprint: string,
  proofHolds: boolean,
): RedemptionOutcome => {
  if (grant.state === 'none')
    throw new PlatformError('not_found', `Nothing was granted to attempt ${epoch} of job ${jobId}.`);
  if (grant.state === 'closed') return { redeemed: false, reason: 'closed' };
  if (!proofHolds) return { redeemed: false, reason: 'bad_proof' };
  if (grant.state === 'open') return { redeemed: true, again: false };
  return grant.thumbprint === thumbprint
    ? { redeemed: true, again: true }
    : { redeemed: false, reason: 'already_redeemed' };
};

// A pod that goes on guessing must not fill the log: people know after the first.
const mostRefusals = 10;

/** The events of a redemption. */
export const recordRedemption = (
  grant: Grant,
  id: GrantId,
  thumbprint: string,
  outcome: RedemptionOutcome,
  eventId: string,
): NewEvent[] => {
  const { jobId, epoch } = id;
  if (outcome.redeemed)
    return outcome.again ? [] : [makeEvent(GrantRedeemed, eventId, { jobId, epoch, thumbprint })];
  if (grant.refusals >= mostRefusals) return [];
  return [makeEvent(GrantRedemptionRefused, eventId, { jobId, epoch, thumbprint, reason: outcome.reason })];
};

/** Closes it; one that was never opened too. The same again is nothing. */
export const closeGrant = (
  grant: Grant,
  { jobId, epoch, eventId }: GrantId & { eventId: string },
): NewEvent[] => (grant.state === 'closed' ? [] : [makeEvent(GrantClosed, eventId, { jobId, epoch })]);

/** `forbidden`, as the pod is told. */
export const redemptionRefused = (reason: Refusal, { jobId, epoch }: GrantId): PlatformError =>
  new PlatformError('forbidden', sentences[reason], { details: { reason, jobId, epoch } });

const sentences: Record<Refusal, string> = {
  already_redeemed:
    'The credentials of this attempt were handed out already, to another key. This is recorded as an alarm.',
  closed: 'This attempt of the job is over: its credentials are not handed out any more.',
  bad_proof: 'The proof does not fit this attempt of the job: only its own pod may have the credentials.',
};
