/** Public keys that something is sealed to: a pod's, with its thumbprint and proof (docs/PROTOCOL.md 1.1 and 1.2), or that of a service for one call. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { PlatformError } from '@gantry/contracts/errors';
import { CompactEncrypt, calculateJwkThumbprint, importJWK, type CryptoKey } from 'jose';
import { z } from 'zod';

/** A public key that credentials can be sealed to. */
export interface SealingKey {
  /** RFC 7638, SHA-256, base64url. */
  thumbprint: string;
  /** A compact JWE, ECDH-ES and A256GCM: only the holder of the private key opens it. */
  seal(plaintext: Uint8Array): Promise<string>;
}

const coordinate = z.string().regex(/^[A-Za-z0-9_-]{43}$/);
const PublicJwk = z.object({ kty: z.literal('EC'), crv: z.literal('P-256'), x: coordinate, y: coordinate });

/** Reads a JWK; members that are not of the public key are not looked at. Throws `invalid`. */
export const readSealingKey = async (jwk: Record<string, unknown>): Promise<SealingKey> => {
  const parsed = PublicJwk.safeParse(jwk);
  // Node checks that the point lies on the curve.
  const key = parsed.success ? await importJWK({ ...parsed.data }, 'ECDH-ES').catch(() => null) : null;
  if (!parsed.success || key === null) {
    throw new PlatformError(
      'invalid',
      'publicKey is not a public key: a JWK with kty "EC", crv "P-256", x and y is needed.',
    );
  }
  return {
    thumbprint: await calculateJwkThumbprint(parsed.data, 'sha256'),
    seal: (plaintext) =>
      new CompactEncrypt(plaintext)
        .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM' })
        .encrypt(key as CryptoKey),
  };
};

/** True if the proof was made with this proof key, for this attempt and this public key. */
export const proofHolds = (
  proofKey: Buffer,
  { jobId, epoch }: { jobId: string; epoch: number },
  thumbprint: string,
  proof: string,
): boolean => {
  const expected = createHmac('sha256', proofKey).update(`${jobId}.${epoch}.${thumbprint}`).digest();
  const given = Buffer.from(proof, 'base64url');
  return given.length === expected.length && timingSafeEqual(given, expected);
};

/** A proof key as bytes. Throws `invalid` unless it is base64url of 32 bytes. */
export const readProofKey = (text: string): Buffer => {
  if (!/^[A-Za-z0-9_-]{43}$/.test(text))
    throw new PlatformError('invalid', 'proofKey is not base64url of 32 bytes.');
  return Buffer.from(text, 'base64url');
};
