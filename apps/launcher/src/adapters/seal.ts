/** Keeps the launching person's assertion unreadable in the database: AES-256-GCM, bound to its job. */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

/** Seals short texts for one purpose. */
export interface Seal {
  close(jobId: string, text: string): Buffer;
  /** null when it was not sealed by this key for this job. */
  open(jobId: string, sealed: Uint8Array): string | null;
}

const nonceBytes = 12;
const tagBytes = 16;

/** `secret`: 32 bytes that all launchers of an installation share; another key is derived from it. */
export const createSeal = (secret: Uint8Array): Seal => {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'gantry launcher assertion', 32));
  return {
    close: (jobId, text) => {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(jobId));
      const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
    },
    open: (jobId, sealed) => {
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceBytes), {
          authTagLength: tagBytes,
        })
          .setAAD(Buffer.from(jobId))
          .setAuthTag(sealed.subarray(nonceBytes, nonceBytes + tagBytes));
        return Buffer.concat([
          decipher.update(sealed.subarray(nonceBytes + tagBytes)),
          decipher.final(),
        ]).toString('utf8');
      } catch {
        return null;
      }
    },
  };
};
