/**
 * Envelope encryption, AES-256-GCM. A fresh data key per owner and version encrypts the fields; the key-encryption key
 * wraps the data key. Owner, version and field are associated data: a ciphertext moved to another row does not open.
 *
 * Sealed bytes: 1 (format) | 12 bytes nonce | ciphertext | 16 bytes tag.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { PlatformError } from '@gantry/contracts/errors';
import type { KeyRing } from './key-ring.js';
import { Secret } from '../secret.js';

/** What the fields belong to: a credential and its version, or a grant and its epoch. */
export interface Owner {
  kind: 'credential' | 'grant';
  id: string;
  version: number;
}

/** A data key as it is stored. */
export interface WrappedKey {
  /** Id of the key-encryption key that wraps it. */
  keyId: string;
  wrapped: Buffer;
}

/** Encrypted fields and the wrapped key that opens them. */
export interface Sealed extends WrappedKey {
  fields: { field: string; ciphertext: Buffer }[];
}

const [format, nonceBytes, tagBytes] = [1, 12, 16];

/** Encrypts fields under a data key of their own. */
export const sealFields = (ring: KeyRing, owner: Owner, fields: Record<string, Secret>): Sealed => {
  const dataKey = randomBytes(32);
  try {
    return {
      keyId: ring.current.id,
      wrapped: encrypt(ring.current.key, dataKey, keyContext(owner, ring.current.id)),
      fields: Object.entries(fields).map(([field, secret]) => ({
        field,
        ciphertext: encrypt(dataKey, Buffer.from(secret.reveal(), 'utf8'), fieldContext(owner, field)),
      })),
    };
  } finally {
    dataKey.fill(0);
  }
};

/**
 * Decrypts what `sealFields` gave. Throws `unavailable` when the ring lacks the key, `defect` with reason
 * `integrity` when any byte differs from what was stored for this owner, version and field.
 */
export const openFields = (ring: KeyRing, owner: Owner, sealed: Sealed): Record<string, Secret> => {
  const dataKey = decrypt(
    ring.find(sealed.keyId),
    sealed.wrapped,
    keyContext(owner, sealed.keyId),
    owner,
    'its data key',
  );
  try {
    return Object.fromEntries(
      sealed.fields.map(({ field, ciphertext }) => {
        const plain = decrypt(dataKey, ciphertext, fieldContext(owner, field), owner, field);
        const secret = new Secret(plain.toString('utf8'));
        plain.fill(0);
        return [field, secret];
      }),
    );
  } finally {
    dataKey.fill(0);
  }
};

// JSON arrays have one reading only: no two contexts run together into the same bytes.
const keyContext = ({ kind, id, version }: Owner, keyId: string): Buffer =>
  Buffer.from(JSON.stringify(['key', kind, id, version, keyId]));
const fieldContext = ({ kind, id, version }: Owner, field: string): Buffer =>
  Buffer.from(JSON.stringify(['field', kind, id, version, field]));

const encrypt = (key: Buffer, plain: Buffer, context: Buffer): Buffer => {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes }).setAAD(context);
  return Buffer.concat([
    Buffer.from([format]),
    nonce,
    cipher.update(plain),
    cipher.final(),
    cipher.getAuthTag(),
  ]);
};

const decrypt = (key: Buffer, sealed: Buffer, context: Buffer, owner: Owner, what: string): Buffer => {
  try {
    if (sealed[0] !== format || sealed.length < 1 + nonceBytes + tagBytes)
      throw new Error('not a sealed value');
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(1, 1 + nonceBytes), {
      authTagLength: tagBytes,
    })
      .setAAD(context)
      .setAuthTag(sealed.subarray(-tagBytes));
    return Buffer.concat([decipher.update(sealed.subarray(1 + nonceBytes, -tagBytes)), decipher.final()]);
  } catch {
    throw new PlatformError(
      'defect',
      `What is stored for ${owner.kind} ${owner.id} (version ${owner.version}, ${what}) is not what was encrypted.`,
      {
        details: { reason: 'integrity', kind: owner.kind, id: owner.id, version: owner.version, what },
      },
    );
  }
};
