/**
 * Checking the hash chain of a stream, wherever its events come from: the log's table or an archive. Pure; goes on after
 * the first fault, so that each is named (docs/RECORD.md, docs/adr/0015).
 */
import type { Meta } from '@gantry/contracts/envelope';
import type { Finding, LinkedEvent } from '@gantry/contracts/proof';
import { canonicalJson, chainHash, chainStart } from './hash-chain.js';

/** Which of the two streams of a job. */
export type StreamPart = 'record_stream' | 'job_stream';

/** A finding about nothing in particular: what a caller fills in. */
export const finding = (
  part: Finding['part'],
  message: string,
  more: Partial<Omit<Finding, 'part' | 'message'>> = {},
): Finding => ({
  part,
  firstCounter: null,
  lastCounter: null,
  version: null,
  column: null,
  found: null,
  expected: null,
  message,
  ...more,
});

/** True if two hex strings differ in one byte at most: then it is the hash that was damaged, not what it covers. */
export const nearlyEqual = (a: string, b: string): boolean => {
  const [left, right] = [Buffer.from(a, 'hex'), Buffer.from(b, 'hex')];
  return left.length === right.length && left.filter((byte, index) => byte !== right[index]).length <= 1;
};

/** True if two JSON values say the same, whatever the order of their keys. */
export const sameValue = (a: unknown, b: unknown): boolean =>
  a === undefined || b === undefined ? a === b : canonicalJson(a) === canonicalJson(b);

/** What there is to say about a whole stream, its events in the order of their versions. */
export const checkStream = (part: StreamPart, stream: string, events: readonly LinkedEvent[]): Finding[] => {
  const findings: Finding[] = [];
  let [version, head] = [0, chainStart.toString('hex')];
  events.forEach((event, index) => {
    const say = (message: string, more: Partial<Finding> = {}): void =>
      void findings.push(
        finding(part, `Event ${event.streamVersion} (${event.type}) of ${stream}: ${message}`, {
          version: event.streamVersion,
          ...more,
        }),
      );
    if (event.stream !== stream)
      say('it belongs to another stream.', { column: 'stream', found: event.stream, expected: stream });
    const missing = event.streamVersion !== version + 1;
    if (missing)
      findings.push(
        finding(part, `${stream}: ${between(version + 1, event.streamVersion - 1)}.`, {
          version: version + 1,
          found: String(event.streamVersion),
          expected: String(version + 1),
        }),
      );
    const before = missing ? event.previousHash : head;
    const computed = hashOf(before, event);
    const fits = computed === event.hash;
    if (event.previousHash !== before) {
      // The event itself was made after `before`: only the column is wrong. Otherwise the one before was exchanged.
      say(
        fits ? 'the hash before it is not that of the event before.' : 'it does not follow the event before.',
        { column: 'previous_hash', found: event.previousHash, expected: before },
      );
    }
    if (!fits && (event.previousHash === before || hashOf(event.previousHash, event) !== event.hash)) {
      const next = events[index + 1]?.previousHash;
      const hashItself = next === undefined ? nearlyEqual(computed, event.hash) : next === computed;
      if (hashItself) say('its hash was changed.', { column: 'hash', found: event.hash, expected: computed });
      else
        say('its content was changed (id, type, version, data, meta or at).', {
          column: 'content',
          found: computed,
          expected: event.hash,
        });
      head = hashItself ? computed : event.hash;
    } else head = event.hash;
    version = event.streamVersion;
  });
  return findings;
};

const between = (first: number, last: number): string =>
  last < first ? `version ${first} was expected` : first === last ? `version ${first} is missing` : `versions ${first} to ${last} are missing`; // prettier-ignore

/** Hex; empty for what cannot be hashed, which equals no hash. */
const hashOf = (previous: string, event: LinkedEvent): string => {
  try {
    return chainHash(Buffer.from(previous, 'hex'), { ...event, meta: event.meta as Meta }).toString('hex');
  } catch {
    return '';
  }
};
