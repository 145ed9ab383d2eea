/** What was found out about tokens a moment ago, in memory: a token is checked at every request. */
import type { Principal } from '@gantry/contracts/access';

/** A token as VerifyToken needs it. */
export interface KnownToken {
  principal: Principal;
  revoked: boolean;
  expiresAt: Date | null;
  assertion: string;
  assertionExpiresAt: Date;
}

/** See the head of the file. */
export interface TokenCache {
  /** What is known of the token with this hash; `load` is asked at most every few seconds. Null = no such token. */
  get(sha256: string, load: () => Promise<KnownToken | null>): Promise<KnownToken | null>;
  /** This token is revoked, whatever a read model that lags says. */
  bury(tokenId: string): void;
  /** Roles changed: ask anew. */
  forgetAll(): void;
  /** Notes that a token was used. */
  used(tokenId: string): void;
  /** Takes what `used` noted: time by token id. */
  takeUses(): Map<string, Date>;
}

const KEEP_MILLISECONDS = 3_000;
const KEEP_AT_MOST = 10_000;

/** A cache; `now` in milliseconds, any origin. */
export const createTokenCache = (now: () => number = () => performance.now()): TokenCache => {
  const kept = new Map<string, { token: Promise<KnownToken | null>; until: number }>();
  const buried = new Set<string>();
  let uses = new Map<string, Date>();
  const make = (map: { size: number; keys(): Iterator<string>; delete(key: string): unknown }): void => {
    if (map.size >= KEEP_AT_MOST) map.delete(map.keys().next().value!);
  };
  return {
    get: async (sha256, load) => {
      let hit = kept.get(sha256);
      if (!hit || hit.until <= now()) {
        make(kept);
        kept.delete(sha256);
        hit = { token: load(), until: now() + KEEP_MILLISECONDS };
        kept.set(sha256, hit);
        hit.token.catch(() => kept.delete(sha256));
      }
      const token = await hit.token;
      return token && buried.has(token.principal.tokenId) ? { ...token, revoked: true } : token;
    },
    bury: (tokenId) => {
      make(buried);
      buried.add(tokenId);
    },
    forgetAll: () => kept.clear(),
    used: (tokenId) => void uses.set(tokenId, new Date()),
    takeUses: () => {
      const taken = uses;
      uses = new Map();
      return taken;
    },
  };
};
