/** What retention asks of the archive: a place for whole files under names, written once. Adapters: files, S3. */
import type { Readable } from 'node:stream';

/** A finished file on this machine's disk. */
export interface ArchiveFile {
  path: string;
  sizeBytes: number;
  /** Hex. */
  sha256: string;
}

/**
 * Where archives lie. `name` is a relative path: letters, digits, `.`, `_`, `-`, and `/` between parts.
 * Every method throws `unavailable` when the place cannot be reached just now, `refused` when it says no (rights, no such
 * bucket, disk full), with the place's own words.
 */
export interface Archive {
  /** For people: `file:///var/lib/archive`, `s3://bucket/prefix`. */
  readonly location: string;
  /** The URL of a name. */
  locate(name: string): string;
  /** Stores a file: all of it or nothing is seen under the name; durable when this returns. What was there is replaced. */
  put(name: string, file: ArchiveFile): Promise<void>;
  /** The bytes under a name; null when there are none. */
  get(name: string): Promise<Readable | null>;
}
