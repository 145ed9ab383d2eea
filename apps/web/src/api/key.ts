/** An idempotency key of our own; `crypto.randomUUID` is only there over HTTPS and on localhost. */
export const newKey = (): string =>
  `web-${Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
