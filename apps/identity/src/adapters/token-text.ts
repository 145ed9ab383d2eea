/** What a token looks like, and what is kept of it. */
import { createHash, randomBytes } from 'node:crypto';

/** A new token: `gantry_` and 256 random bits, base64url. */
export const newToken = (): string => `gantry_${randomBytes(32).toString('base64url')}`;

/** What is stored in place of a token. The token's own 256 bits make a slow hash needless. */
export const tokenHash = (token: string): string => createHash('sha256').update(token).digest('hex');

/** Whether a text can be a token at all: saves the database the question. */
export const looksLikeToken = (text: string): boolean => /^gantry_[A-Za-z0-9_-]{43}$/.test(text);
