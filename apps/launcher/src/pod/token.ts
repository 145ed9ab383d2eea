/** The pod's token and what is derived from it: docs/PROTOCOL.md 1.1. */
import { createHash, createHmac } from 'node:crypto';

/** Secrets of one attempt. `token` goes into the pod, `bearerSha256` to ingest, `proofKey` to the vault. */
export interface PodSecrets {
  token: string;
  /** Hex. */
  bearerSha256: string;
  /** base64url. */
  proofKey: string;
}

const hmac = (key: string | Uint8Array, text: string): Buffer =>
  createHmac('sha256', key).update(text).digest();

/** The same for the same attempt, whichever launcher asks: one that takes over can give the token again. */
export const podSecrets = (key: Uint8Array, jobId: string, epoch: number): PodSecrets => {
  const token = hmac(key, `gantry pod token:${jobId}:${epoch}`).toString('base64url');
  const bearer = hmac(token, 'gantry pod bearer').toString('base64url');
  return {
    token,
    bearerSha256: createHash('sha256').update(bearer).digest('hex'),
    proofKey: hmac(token, 'gantry pod proof').toString('base64url'),
  };
};
