/** The key that signs assertions: an Ed25519 private JWK in a file, made on the first start. */
import type { Principal } from '@gantry/contracts/access';
import { PlatformError } from '@gantry/contracts/errors';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, SignJWT, type JWK } from 'jose';
import { createPrivate, readText } from './files.js';

/** What @gantry/service checks in every assertion. */
const assertionClaims = { issuer: 'gantry-identity', audience: 'gantry' };

/** Makes assertions. */
export interface Signer {
  /** Public keys, as a JWK set's `keys`. */
  keys: Record<string, unknown>[];
  /** A JWT that says who the principal is, until `expiresAt`. */
  sign(principal: Principal, expiresAt: Date): Promise<string>;
}

/** Reads the key file, or makes it (mode 0600). Throws `invalid` when it holds anything but a private Ed25519 JWK. */
export const openSigner = async (file: string): Promise<Signer> => {
  const jwk = await readKey(file);
  const key = await importJWK(jwk, 'EdDSA').catch((cause: unknown) => {
    throw notAKey(file, cause);
  });
  const publicKey = { kty: jwk.kty, crv: jwk.crv, x: jwk.x };
  const kid = await calculateJwkThumbprint(publicKey as JWK);
  return {
    keys: [{ ...publicKey, kid, alg: 'EdDSA', use: 'sig' }],
    sign: (principal, expiresAt) =>
      new SignJWT({ principal })
        .setProtectedHeader({ alg: 'EdDSA', kid })
        .setIssuer(assertionClaims.issuer)
        .setAudience(assertionClaims.audience)
        .setSubject(principal.userId)
        .setIssuedAt()
        .setExpirationTime(expiresAt)
        .sign(key),
  };
};

const readKey = async (file: string): Promise<JWK> => {
  const text = (await readText(file)) ?? (await makeKey(file));
  try {
    const jwk = JSON.parse(text) as JWK;
    if (jwk.kty === 'OKP' && jwk.crv === 'Ed25519' && jwk.d && jwk.x) return jwk;
  } catch {
    // Said below; the parser's own message would quote the file.
  }
  throw notAKey(file);
};

const makeKey = async (file: string): Promise<string> => {
  const { privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
  const text = `${JSON.stringify(await exportJWK(privateKey))}\n`;
  return (await createPrivate(file, text)) ? text : (await readText(file))!;
};

const notAKey = (file: string, cause?: unknown): PlatformError =>
  new PlatformError(
    'invalid',
    `${file} is not a private Ed25519 key in JWK form: remove it to have a new one made, or put the right one there.`,
    { cause },
  );
