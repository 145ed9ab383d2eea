/** Commands on tokens. */
import type { OutputOf, ReceivedBy } from '@gantry/contracts/command';
import { PlatformError } from '@gantry/contracts/errors';
import {
  identityEvents,
  type IssueToken,
  type RevokeToken,
  type VerifyToken,
} from '@gantry/contracts/identity';
import { decideAndAppend, loadAggregate } from '@gantry/service/aggregate';
import { newId, type CallContext } from '@gantry/service/context';
import { looksLikeToken, newToken, tokenHash } from './adapters/token-text.js';
import type { IdentityDeps } from './deps.js';
import { decide, evolve, initial } from './domain/token.js';
import { eventNumbering } from './new-events.js';
import { findToken } from './token.projection.js';
import { userExists } from './user.projection.js';

const { TokenIssued, TokenRevoked } = identityEvents;
const catalogue = { TokenIssued, TokenRevoked };

/** Every few seconds the gateway asks again, so a longer life would only serve who stole it. */
const ASSERTION_MILLISECONDS = 300_000;

/** A new token for oneself or, by superusers, for another. Only its hash is kept. */
export const issueToken = async (
  { pool, log }: IdentityDeps,
  input: ReceivedBy<typeof IssueToken>,
  context: CallContext,
): Promise<OutputOf<typeof IssueToken>> => {
  const principal = context.principal!;
  const userId = input.userId ?? principal.userId;
  if (userId !== principal.userId && !principal.superuser) {
    throw new PlatformError(
      'forbidden',
      `${principal.username} may issue tokens for nobody else: only system administrators may.`,
    );
  }
  if (!(await userExists(pool, log.schema, userId)))
    throw new PlatformError('not_found', `There is no user ${userId}.`);
  const [id, token] = [newId(), newToken()];
  const expiresAt = input.expiresInSeconds ? expiry(input.expiresInSeconds) : null;
  const command = {
    kind: 'issue',
    tokenId: id,
    userId,
    description: input.description,
    sha256: tokenHash(token),
    expiresAt,
  } as const;
  await log.append(`token-${id}`, 0, eventNumbering()(decide(initial, command)), context.meta());
  return { id, token };
};

/** One's own or, by superusers, anybody's. Dead at once on this replica, within seconds everywhere. */
export const revokeToken = async (
  { log, cache }: IdentityDeps,
  { id }: ReceivedBy<typeof RevokeToken>,
  context: CallContext,
): Promise<Record<string, never>> => {
  const principal = context.principal!;
  const aggregate = { log, stream: `token-${id}`, initial, evolve, catalogue };
  const { state } = await loadAggregate(aggregate);
  // Somebody else's token is answered as one that is not there.
  if (!state || (state.userId !== principal.userId && !principal.superuser))
    throw new PlatformError('not_found', `There is no token ${id}.`);
  const number = eventNumbering();
  await decideAndAppend({
    ...aggregate,
    decide: (now) => number(decide(now, { kind: 'revoke', tokenId: id })),
    meta: context.meta(),
  });
  cache.bury(id);
  return {};
};

/** Whose token is this? Throws `unauthenticated` and says why. */
export const verifyToken = async (
  { pool, log, signer, cache }: IdentityDeps,
  { token }: ReceivedBy<typeof VerifyToken>,
): Promise<OutputOf<typeof VerifyToken>> => {
  if (!looksLikeToken(token)) throw refused('is not one of Gantry: they begin with gantry_');
  const sha256 = tokenHash(token);
  const found = await cache.get(sha256, async () => {
    const row = await findToken(pool, log.schema, sha256);
    if (!row) return null;
    const assertionExpiresAt = new Date(
      Math.min(Date.now() + ASSERTION_MILLISECONDS, row.expiresAt?.getTime() ?? Infinity),
    );
    return { ...row, assertion: await signer.sign(row.principal, assertionExpiresAt), assertionExpiresAt };
  });
  if (!found) throw refused('is not known here');
  if (found.revoked) throw refused('was revoked');
  if (found.expiresAt && found.expiresAt.getTime() <= Date.now()) throw refused('has expired');
  cache.used(found.principal.tokenId);
  return {
    principal: found.principal,
    assertion: found.assertion,
    assertionExpiresAt: found.assertionExpiresAt.toISOString(),
    tokenExpiresAt: found.expiresAt?.toISOString() ?? null,
  };
};

const expiry = (seconds: number): string => {
  const time = new Date(Date.now() + seconds * 1_000);
  if (Number.isNaN(time.getTime()) || time.getUTCFullYear() > 9_999) {
    throw new PlatformError(
      'invalid',
      'expiresInSeconds: the token would outlive the calendar; leave it out for one that does not expire.',
    );
  }
  return time.toISOString();
};

const refused = (why: string): PlatformError =>
  new PlatformError(
    'unauthenticated',
    `This token ${why}. Log in with a valid one; \`gantry token\` prints the one of this installation.`,
  );
