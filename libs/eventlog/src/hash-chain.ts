/** The hash chain of a stream: each event's hash covers the event and the hash before it. */
import { createHash } from 'node:crypto';
import { PlatformError } from '@gantry/contracts/errors';
import type { Meta } from '@gantry/contracts/envelope';

/** What of an event is covered by its hash: all but its place in the log, which a restore may change. */
export interface HashedEvent {
  id: string;
  stream: string;
  streamVersion: number;
  type: string;
  version: number;
  data: unknown;
  meta: Meta;
  /** ISO 8601 with milliseconds, UTC. */
  at: string;
}

/** The "hash before" of a stream's first event: 32 zero bytes. */
export const chainStart: Buffer = Buffer.alloc(32);

/**
 * A value as JSON with one spelling only: keys sorted by UTF-16 code unit, no white space, numbers as ECMAScript
 * writes them (RFC 8785), so that it is the same before and after a `jsonb` column, which reorders keys and rewrites
 * numbers. Values that JSON has no word for go the way of `JSON.stringify`.
 */
export const canonicalJson = (value: unknown): string => {
  const text = JSON.stringify(value);
  if (text === undefined)
    throw new PlatformError('invalid', 'An event holds no JSON value: it must be an object.');
  return write(JSON.parse(text) as unknown);
};

const write = (value: unknown): string => {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(write).join(',')}]`;
  const members = Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${write(member)}`);
  return `{${members.join(',')}}`;
};

/** SHA-256 over the previous hash's 32 bytes followed by the event's canonical JSON in UTF-8. */
export const chainHash = (previous: Buffer, event: HashedEvent): Buffer => {
  const { id, stream, streamVersion, type, version, data, meta, at } = event;
  const bytes = canonicalJson({ id: id.toLowerCase(), stream, streamVersion, type, version, data, meta, at });
  return createHash('sha256').update(previous).update(bytes, 'utf8').digest();
};
