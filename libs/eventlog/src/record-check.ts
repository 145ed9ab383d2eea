/**
 * Checking a job's record, chunk by chunk and at its end, wherever it comes from: the database or an archive. Written from
 * docs/RECORD.md; shares no code with what writes records (the agent and ingest). Pure, and bounded by one chunk.
 */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import {
  BEFORE_ALL_CHUNKS,
  type ChainState,
  type ChunkHeader,
  type Finding,
  type LinkedEvent,
  type RecordRow,
} from '@gantry/contracts/proof';
import type { RecordSealed } from '@gantry/contracts/record';
import type { z } from 'zod';
import { finding, nearlyEqual, sameValue } from './stream-check.js';

/** Data of the event `record.sealed`. */
export type SealData = z.output<typeof RecordSealed.data>;

const GZIP = 1;
/** No batch may be larger when it is taken (docs/PROTOCOL.md): a damaged one shall not fill the memory. */
const MOST_RAW_BYTES = 64 * 1024 * 1024;

const sha256 = (...parts: (Buffer | string)[]): string => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

/** Before the first chunk of a job. */
export const chainBegin = (jobId: string): ChainState => ({
  counter: 0,
  line: 0,
  head: sha256(`gantry:${jobId}`),
  after: BEFORE_ALL_CHUNKS,
  epoch: 1,
  chunks: 0,
  rawBytes: 0,
  storedBytes: 0,
  gaps: 0,
  damaged: false,
});

/** The sum over a chunk's columns other than its bytes, hex: docs/RECORD.md section 3. */
export const headerSum = (jobId: string, header: ChunkHeader): string => {
  const { firstCounter, lastCounter, firstLine, lastLine, epoch, rawLength, codec, receivedAt } = header;
  const numbers = [firstCounter, lastCounter, firstLine, lastLine, epoch, rawLength, codec];
  return sha256([jobId, ...numbers, receivedAt, header.previousHash, header.hash].join('|'));
};

interface Content {
  raw: Buffer;
  lines: number;
  /** By the events' own word; null when not one of them is JSON. */
  firstCounter: number | null;
  firstLine: number | null;
  lastLine: number | null;
  /** Counter that breaks the order, as said and as it must be. */
  disorder: { said: unknown; expected: number } | null;
  gaps: number;
}

/** Looks at the next chunk. `state` is not changed; the new one says where the chunk after it must begin. */
export const checkChunk = async (
  jobId: string,
  state: ChainState,
  header: ChunkHeader,
  payload: Buffer,
): Promise<{ findings: Finding[]; state: ChainState }> => {
  const check = new ChunkCheck(state, header);
  const content = await unpack(payload).then(readContent, () => null);
  const payloadIntact = check.payload(payload, content);
  const link = check.links(content, payloadIntact);
  const place = check.columns(content);
  check.sum(jobId);
  check.order(place, content);
  const next: ChainState = {
    ...state,
    after: Math.max(state.after, header.firstCounter),
    chunks: state.chunks + 1,
    rawBytes: state.rawBytes + (content?.raw.length ?? header.rawLength),
    storedBytes: state.storedBytes + payload.length,
    gaps: state.gaps + (content?.gaps ?? 0),
    damaged: state.damaged || check.findings.length > 0,
  };
  // A chunk whose row was moved by a wrong counter is named, and does not count as having come.
  if (!place.displaced)
    Object.assign(next, {
      counter: place.lastCounter,
      line: place.lastLine,
      head: link,
      epoch: header.epoch,
    });
  return { findings: check.findings, state: next };
};

const unpack = async (payload: Buffer): Promise<Buffer> =>
  promisify(gunzip)(payload, { maxOutputLength: MOST_RAW_BYTES });

const readContent = (raw: Buffer): Content => {
  const content: Content = { raw, lines: 0, firstCounter: null, firstLine: null, lastLine: null, disorder: null, gaps: 0 }; // prettier-ignore
  for (let start = 0; start < raw.length; content.lines++) {
    const found = raw.indexOf(0x0a, start);
    const end = found < 0 ? raw.length : found;
    const event = parse(raw.toString('utf8', start, end));
    start = end + 1;
    if (!event) continue;
    const counter = event['counter'];
    if (typeof counter === 'number') content.firstCounter ??= counter - content.lines;
    const expected = (content.firstCounter ?? 0) + content.lines;
    if (content.firstCounter !== null && counter !== expected)
      content.disorder ??= { said: counter, expected };
    if (content.lines === 0 && Number.isInteger(event['start_line']))
      content.firstLine = event['start_line'] as number;
    content.lastLine = Number.isInteger(event['end_line']) ? (event['end_line'] as number) : null;
    if (event['event'] === 'gantry_gap') content.gaps += 1;
  }
  return content;
};

const parse = (text: string): Record<string, unknown> | null => {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
};

interface Place {
  firstCounter: number;
  lastCounter: number;
  firstLine: number;
  lastLine: number;
  /** Its row says another counter than its events, and its events are not those that come next. */
  displaced: boolean;
}

/** The checks of one chunk; each says what it finds. */
class ChunkCheck {
  readonly findings: Finding[] = [];

  constructor(
    private readonly state: ChainState,
    private readonly header: ChunkHeader,
  ) {}

  private say(column: string | null, message: string, found?: unknown, expected?: unknown): void {
    const { firstCounter, lastCounter } = this.header;
    const values = found === undefined ? '' : ` It is ${String(found)}, it must be ${String(expected)}.`;
    this.findings.push(
      finding('chunk', `Chunk of events ${firstCounter} to ${lastCounter}: ${message}${values}`, {
        firstCounter,
        lastCounter,
        column,
        ...(found === undefined ? {} : { found: String(found), expected: String(expected) }),
      }),
    );
  }

  /** The stored bytes. Returns whether they are as they were written. */
  payload(payload: Buffer, content: Content | null): boolean {
    const computed = sha256(payload);
    if (computed === this.header.payloadSha256) {
      if (!content) this.say('payload', 'its bytes are as they were stored, but cannot be unpacked.');
      return true;
    }
    if (content && nearlyEqual(computed, this.header.payloadSha256)) {
      this.say(
        'payload_sha256',
        'the hash of its stored bytes was changed.',
        this.header.payloadSha256,
        computed,
      );
      return true;
    }
    const what = content ? '' : ' and cannot be unpacked';
    this.findings.push(
      finding(
        'chunk',
        `Chunk of events ${this.header.firstCounter} to ${this.header.lastCounter}: its stored bytes were changed${what}. Their SHA-256 is ${computed}, it must be ${this.header.payloadSha256}.`,
        {
          firstCounter: this.header.firstCounter,
          lastCounter: this.header.lastCounter,
          column: 'payload',
          found: computed,
          expected: this.header.payloadSha256,
        },
      ),
    );
    return false;
  }

  /** The chain. Returns the head that the next chunk must follow, hex. */
  links(content: Content | null, payloadIntact: boolean): string {
    const { state, header } = this;
    const follows = header.previousHash === state.head;
    if (!content) {
      if (!follows) this.unlinked();
      return header.hash;
    }
    const computed = sha256(Buffer.from(state.head, 'hex'), content.raw);
    if (computed === header.hash) {
      if (!follows)
        this.say('previous_hash', 'the hash before it was changed.', header.previousHash, state.head);
      return header.hash;
    }
    const own = sha256(Buffer.from(header.previousHash, 'hex'), content.raw);
    if (!follows) this.unlinked();
    if (own === header.hash) return header.hash;
    if (payloadIntact) this.say('hash', 'its hash is not that of its events.', header.hash, own);
    return payloadIntact ? own : header.hash;
  }

  private unlinked(): void {
    // Where chunks are missing before it, that is what is said.
    if (this.header.firstCounter === this.state.counter + 1)
      this.say(
        'previous_hash',
        'it does not follow the chunk before.',
        this.header.previousHash,
        this.state.head,
      );
  }

  /** The columns that its events can tell. Returns where it really belongs. */
  columns(content: Content | null): Place {
    const { header, state } = this;
    if (header.codec !== GZIP) this.say('codec', 'its codec was changed.', header.codec, GZIP);
    const firstCounter = content?.firstCounter ?? header.firstCounter;
    const lastCounter = content ? firstCounter + content.lines - 1 : header.lastCounter;
    const firstLine = content?.firstLine ?? header.firstLine;
    const lastLine = content?.lastLine ?? header.lastLine;
    const compare = (column: string, found: number, expected: number): void => {
      if (found !== expected) this.say(column, `${column} is not what its events say.`, found, expected);
    };
    if (content) {
      if (content.disorder)
        this.say(null, `its events are not in order.`, content.disorder.said, content.disorder.expected);
      compare('first_counter', header.firstCounter, firstCounter);
      compare('last_counter', header.lastCounter, lastCounter);
      compare('first_line', header.firstLine, firstLine);
      compare('last_line', header.lastLine, lastLine);
      compare('raw_length', header.rawLength, content.raw.length);
    }
    const displaced = header.firstCounter !== firstCounter && firstCounter !== state.counter + 1;
    return { firstCounter, lastCounter, firstLine, lastLine, displaced };
  }

  /** The columns that nothing else tells: the sum over all of them. */
  sum(jobId: string): void {
    const { header } = this;
    const computed = headerSum(jobId, header);
    const explained = this.findings.some(
      ({ column }) => column !== null && !['payload', 'payload_sha256'].includes(column),
    );
    if (computed === header.headerSha256 || explained) return;
    if (nearlyEqual(computed, header.headerSha256))
      return this.say(
        'header_sha256',
        'the sum over its columns was changed.',
        header.headerSha256,
        computed,
      );
    const epoch = epochThatFits(jobId, header);
    if (epoch !== null) return this.say('epoch', 'its epoch was changed.', header.epoch, epoch);
    // All others are compared with the events; what is left is the time, which only the sum knows.
    this.say('received_at', `a column was changed, by all signs received_at (${header.receivedAt}).`, computed, header.headerSha256); // prettier-ignore
  }

  /** Does it come next? */
  order(place: Place, content: Content | null): void {
    const { state, header } = this;
    const expected = state.counter + 1;
    if (place.displaced) return;
    if (place.firstCounter > expected) this.findings.push(missingEvents(expected, place.firstCounter - 1));
    else if (place.firstCounter < expected)
      this.say(null, 'its events overlap those before.', place.firstCounter, expected);
    else if (place.firstLine !== state.line && !(state.damaged && !content))
      this.say('first_line', 'its lines do not follow those before.', place.firstLine, state.line);
    if (header.epoch < state.epoch && this.findings.length === 0)
      this.say(
        'epoch',
        'its epoch is older than that of the chunk before.',
        header.epoch,
        `${state.epoch} or more`,
      );
  }
}

/** Attempts of a job that are tried for a damaged epoch. */
const MOST_EPOCHS = 100;

const epochThatFits = (jobId: string, header: ChunkHeader): number | null => {
  for (let epoch = 1; epoch <= MOST_EPOCHS; epoch++)
    if (headerSum(jobId, { ...header, epoch }) === header.headerSha256) return epoch;
  return null;
};

const missingEvents = (first: number, last: number): Finding =>
  finding('chunk', `Events ${first} to ${last} are missing: there is no chunk that holds them.`, {
    firstCounter: first,
    lastCounter: last,
    found: 'nothing',
    expected: `events ${first} to ${last}`,
  });

/**
 * What the row of a record must say, once all its chunks were looked at. `events`: the stream of its milestones; null when
 * that is damaged itself and nothing can be compared with it.
 */
export const checkRow = (
  state: ChainState,
  row: RecordRow,
  events: readonly LinkedEvent[] | null,
): Finding[] => {
  const findings: Finding[] = [];
  const seal = events ? sealOf(events) : row.seal;
  const compare = (column: string, found: unknown, expected: unknown, why: string): void => {
    if (!sameValue(found, expected))
      findings.push(
        finding('record', `The record's ${column} is ${show(found)}, it must be ${show(expected)}: ${why}`, {
          column,
          found: show(found),
          expected: show(expected),
        }),
      );
  };
  const last = Math.max(seal?.lastCounter ?? row.lastCounter, state.counter);
  if (last > state.counter) findings.push(missingEvents(state.counter + 1, last));
  const complete = last === state.counter;
  compare('last_counter', row.lastCounter, last, 'that is the last event.');
  if (complete) {
    compare('last_line', row.lastLine, state.line, 'so many lines have its events.');
    compare('chain_head', row.head, state.head, 'that is the head of the chain of its chunks.');
  }
  if (complete && !state.damaged) {
    compare('raw_bytes', row.rawBytes, String(state.rawBytes), 'so long are its events.');
    compare('stored_bytes', row.storedBytes, String(state.storedBytes), 'so long are its chunks.');
  }
  if (!events) return findings;
  compare('seal', row.seal, seal, 'so it was sealed in its stream.');
  const epochs = (type: string): number[] =>
    events
      .filter((event) => event.type === type)
      .map(({ data }) => Number((data as { epoch?: unknown }).epoch));
  compare(
    'epoch',
    row.epoch,
    Math.max(0, ...epochs('record.opened')),
    'that is the last attempt in its stream.',
  );
  compare('agent_epoch', row.agentEpoch, epochs('record.agent_started').at(-1) ?? 0, 'so its stream says.');
  compare('alarms', row.alarms, epochs('record.integrity_alarm').length, 'so many alarms are in its stream.');
  compare(
    'stream_version',
    row.streamVersion,
    events.at(-1)?.streamVersion ?? 0,
    'so many events has its stream.',
  );
  return findings;
};

/** The seal in the stream of a record; null while it has none. */
export const sealOf = (events: readonly LinkedEvent[]): SealData | null =>
  (events.find(({ type }) => type === 'record.sealed')?.data as SealData | undefined) ?? null;

/** The seal against the chunks: number of events, lines, head of the chain. */
export const checkSeal = (state: ChainState, seal: SealData | null): Finding[] => {
  if (!seal || state.counter < seal.lastCounter) return [];
  const pairs: [string, unknown, unknown][] = [
    ['lastCounter', seal.lastCounter, state.counter],
    ['lastLine', seal.lastLine, state.line],
    ['sha256', seal.sha256, state.head],
  ];
  return pairs
    .filter(([, said, is]) => said !== is)
    .map(([column, said, is]) =>
      finding('seal', `The record was sealed with ${column} ${show(said)}, its chunks give ${show(is)}.`, {
        column,
        found: show(is),
        expected: show(said),
      }),
    );
};

/**
 * What the job's own stream says of its record, against the seal of the record (null: no record, or not sealed). `damaged`:
 * what `checkStream` found; those events are named already.
 */
export const checkJobWord = (
  events: readonly LinkedEvent[],
  damaged: readonly Finding[],
  seal: SealData | null,
): Finding[] => {
  const named = new Set(damaged.map(({ version }) => version));
  const find = (type: string): LinkedEvent | undefined => events.find((event) => event.type === type);
  const [sealed, finished] = [find('job.record_sealed'), find('job.finished')];
  const findings: Finding[] = [];
  const compare = (event: LinkedEvent, column: string, said: unknown, expected: unknown): void => {
    if (!named.has(event.streamVersion) && !sameValue(said ?? null, expected ?? null))
      findings.push(
        finding('job_stream', `Event ${event.streamVersion} (${event.type}) of ${event.stream} says ${column} ${show(said)}, the record was sealed with ${show(expected)}.`, {
          version: event.streamVersion, column, found: show(said), expected: show(expected),
        }), // prettier-ignore
      );
  };
  if (sealed) {
    const said = sealed.data as Record<string, unknown>;
    // Before it is over, the seal may have been looked for a moment before it was set.
    if (!seal && finished)
      findings.push(
        finding(
          'seal',
          'The job says that its record was sealed, but there is no seal: the record is gone.',
          {
            version: sealed.streamVersion,
          },
        ),
      );
    if (seal)
      for (const key of new Set([...Object.keys(said), ...Object.keys(seal)]))
        compare(sealed, key, said[key], (seal as Record<string, unknown>)[key]);
  }
  if (finished && sealed && seal) {
    const said = finished.data as Record<string, unknown>;
    compare(finished, 'lastCounter', said['lastCounter'], seal.lastCounter);
    compare(finished, 'sha256', said['sha256'], seal.sha256);
  }
  if (finished && seal && seal.lastCounter > 0 && !sealed)
    findings.push(
      finding('seal', 'The record is sealed, but the job ended without a word of it (job.record_sealed).', {
        version: finished.streamVersion,
      }),
    );
  return findings;
};

const show = (value: unknown): string =>
  (typeof value === 'string' ? value : JSON.stringify(value)) ?? 'nothing';
