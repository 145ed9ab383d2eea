/**
 * Who is calling? A bearer token becomes a session: the principal that identity vouches for, and the assertion that other
 * services check. A session is kept for a few seconds, so a revoked token dies within them, open subscriptions included.
 */
import { createHash } from 'node:crypto';
import type { Principal } from '@gantry/contracts/access';
import { VerifyToken } from '@gantry/contracts/identity';
import { PlatformError } from '@gantry/contracts/errors';
import type { ServiceKit } from '@gantry/service/kit';

/** How long identity's word is taken without asking again. */
const KEEP_MILLISECONDS = 5_000;
const KEEP_AT_MOST = 10_000;

/** A caller whose token is good. */
export interface Session {
  principal: Principal;
  assertion: string;
  /** ISO 8601; null = never. */
  tokenExpiresAt: string | null;
}

/** Turns tokens into sessions. */
export interface Sessions {
  /** Gives what asks for the session of a token, as often as needed. It throws `unauthenticated` for a missing, unknown, expired or revoked one. */
  by(token: string | null): () => Promise<Session>;
  /** Some of them may not be good any more: identity is asked again for each. */
  forget(): void;
}

/** The bearer token of an Authorization header, or null. */
export const bearerOf = (header: unknown): string | null =>
  typeof header === 'string' ? (/^bearer +([\x21-\x7e]+)$/i.exec(header.trim())?.[1] ?? null) : null;

/** Sessions over identity's `VerifyToken`. */
export const createSessions = (kit: Pick<ServiceKit, 'call'>): Sessions => {
  const kept = new Map<string, { session: Promise<Session>; until: number }>();
  const find = (key: string, token: string): Promise<Session> => {
    const found = kept.get(key);
    if (found && found.until > performance.now()) return found.session;
    const entry = { session: verify(kit, token), until: performance.now() + KEEP_MILLISECONDS };
    entry.session.then(
      ({ tokenExpiresAt }) => {
        if (tokenExpiresAt === null) return;
        entry.until = Math.min(entry.until, performance.now() + Date.parse(tokenExpiresAt) - Date.now());
      },
      () => kept.delete(key),
    );
    if (kept.size >= KEEP_AT_MOST) kept.delete(kept.keys().next().value!);
    kept.delete(key);
    kept.set(key, entry);
    return entry.session;
  };
  return {
    by(token) {
      if (!token) return async () => Promise.reject(noToken());
      const key = createHash('sha256').update(token).digest('base64');
      return async () => find(key, token);
    },
    forget: () => kept.clear(),
  };
};

const noToken = (): PlatformError =>
  new PlatformError(
    'unauthenticated',
    'This needs a token: send it as "Authorization: Bearer <token>". `gantry token` prints the one of this installation.',
  );

const verify = async (kit: Pick<ServiceKit, 'call'>, token: string): Promise<Session> => {
  const { principal, assertion, tokenExpiresAt } = await kit.call(VerifyToken, { token }, {});
  return { principal, assertion, tokenExpiresAt };
};
