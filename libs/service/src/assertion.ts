/** Who a command is carried out for: the assertion that identity made and every service checks by itself. */
import { Principal } from '@gantry/contracts/access';
import { PlatformError, isPlatformError } from '@gantry/contracts/errors';
import { createLocalJWKSet, errors, jwtVerify, type JSONWebKeySet } from 'jose';

/** Claims of an assertion besides `principal`, `iat` and `exp`. */
export const assertionClaims = { issuer: 'gantry-identity', audience: 'gantry' } as const;

/** An assertion lives this long at most. */
export const ASSERTION_SECONDS = 300;

/** Turns an assertion into the principal it stands for. Throws `unauthenticated`; `unavailable` when the keys cannot be had. */
export type VerifyAssertion = (assertion: string) => Promise<Principal>;

const refetchMilliseconds = 2_000;
const remembered = 2_000;

/** A verifier over the public keys that `fetchKeys` gives; they are fetched when first needed, and again for an unknown key id. */
export const createAssertionVerifier = (
  fetchKeys: () => Promise<{ keys: Record<string, unknown>[] }>,
): VerifyAssertion => {
  let keys: Promise<ReturnType<typeof createLocalJWKSet>> | null = null;
  let fetchedAt = 0;
  const known = new Map<string, { principal: Principal; until: number }>();

  const load = (): NonNullable<typeof keys> => {
    fetchedAt = Date.now();
    const loading = fetchKeys().then((set) => createLocalJWKSet(set as unknown as JSONWebKeySet));
    loading.catch(() => {
      if (keys === loading) keys = null;
    });
    return (keys = loading);
  };

  const check = async (assertion: string): Promise<{ principal: Principal; until: number }> => {
    const { payload } = await jwtVerify(assertion, await (keys ?? load()), {
      ...assertionClaims,
      algorithms: ['EdDSA'],
      requiredClaims: ['iat', 'exp'],
      clockTolerance: 5,
    });
    if (payload.exp! - payload.iat! > ASSERTION_SECONDS) throw refused('it is made to last too long');
    const principal = Principal.safeParse(payload['principal']);
    if (!principal.success) throw refused('it names nobody');
    return { principal: principal.data, until: payload.exp! * 1_000 };
  };

  return async (assertion) => {
    const hit = known.get(assertion);
    if (hit && hit.until > Date.now()) return hit.principal;
    known.delete(assertion);
    const checked = await check(assertion)
      .catch((error: unknown) => {
        // Identity may have a new key since.
        if (!(error instanceof errors.JWKSNoMatchingKey) || Date.now() - fetchedAt < refetchMilliseconds)
          throw error;
        keys = null;
        return check(assertion);
      })
      .catch((error: unknown) => {
        throw isPlatformError(error)
          ? error
          : refused(error instanceof errors.JWTExpired ? 'it has expired' : 'it is not genuine', error);
      });
    if (known.size >= remembered) known.delete(known.keys().next().value!);
    known.set(assertion, checked);
    return checked.principal;
  };
};

const refused = (why: string, cause?: unknown): PlatformError =>
  new PlatformError(
    'unauthenticated',
    `The assertion of who is asking does not hold: ${why}. Log in again.`,
    { cause },
  );
