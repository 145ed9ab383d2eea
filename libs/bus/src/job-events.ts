/** What pods print, for other systems: batches as they are stored, in the stream GANTRY_JOBEVENTS (docs/PROTOCOL.md 2.5). */
import { gunzipSync, gzipSync } from 'node:zlib';
import { PlatformError } from '@gantry/contracts/errors';
import { headers as names, jobEventsSubject, streamNames } from '@gantry/contracts/subjects';
import { JetStreamApiError, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { headers, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';
import { fromNats } from './connect.js';

/** A committed batch. `payload`: NDJSON, gzip. Hashes hex, as the agent's chain has them. */
export interface JobEventBatch {
  jobId: string;
  organizationId: string;
  firstCounter: number;
  lastCounter: number;
  firstLine: number;
  lastLine: number;
  rawLength: number;
  previousHash: string;
  hash: string;
  payload: Buffer;
}

/** The stream as it is on the server: another `birth`, or fewer messages than there were, and it is another stream. */
export interface JobEventStream {
  /** ISO 8601. */
  birth: string;
  lastSequence: number;
}

/** Looks at the stream. Throws `unavailable`. */
export const jobEventStream = async (nc: NatsConnection): Promise<JobEventStream> => {
  try {
    const manager = await jetstreamManager(nc, { checkAPI: false });
    const { created, state } = await manager.streams.info(streamNames.jobEvents);
    return { birth: created, lastSequence: state.last_seq };
  } catch (error) {
    throw fromNats(error, 'look at the stream of job events');
  }
};

/** One message: a batch, or a part of one that is larger than NATS takes. */
export interface JobEventMessage {
  messageId: string;
  headers: Record<string, string>;
  body: Buffer;
}

/** Left for the headers and the protocol's own. */
const HEADER_BYTES = 4_096;

/**
 * The messages of a batch: one, or, where it is larger than `maxPayload` bytes, several cut between events, compressed
 * anew. An event that fits into none goes without its bytes and says so.
 */
export const jobEventMessages = (batch: JobEventBatch, maxPayload: number): JobEventMessage[] => {
  const most = maxPayload - HEADER_BYTES;
  if (batch.payload.length <= most)
    return [
      messageOf(batch, batch.firstCounter, batch.lastCounter, batch.rawLength, batch.payload, {
        [names.firstLine]: String(batch.firstLine),
        [names.lastLine]: String(batch.lastLine),
        [names.previousHash]: batch.previousHash,
        [names.hash]: batch.hash,
      }),
    ];
  const raw = gunzipSync(batch.payload, { maxOutputLength: batch.rawLength });
  const messages: JobEventMessage[] = [];
  for (let [start, counter] = [0, batch.firstCounter]; start < raw.length;) {
    const first = counter;
    let end = start;
    // What does not compress at all still fits: gzip adds less than a tenth.
    do {
      end = raw.indexOf(0x0a, end) + 1 || raw.length;
      counter += 1;
    } while (end < raw.length && (raw.indexOf(0x0a, end) + 1 || raw.length) - start <= most * 0.9);
    const body = gzipSync(raw.subarray(start, end), { level: 1 });
    const fits = body.length <= most;
    messages.push(
      messageOf(
        batch,
        first,
        counter - 1,
        end - start,
        fits ? body : Buffer.alloc(0),
        fits ? {} : { [names.leftOut]: String(end - start) },
      ),
    );
    start = end;
  }
  return messages;
};

const messageOf = (
  batch: JobEventBatch,
  first: number,
  last: number,
  rawLength: number,
  body: Buffer,
  more: Record<string, string>,
): JobEventMessage => ({
  messageId: `${batch.jobId}:${first}`,
  body,
  headers: {
    [names.jobId]: batch.jobId,
    [names.organizationId]: batch.organizationId,
    [names.firstCounter]: String(first),
    [names.lastCounter]: String(last),
    [names.rawBytes]: String(rawLength),
    [names.contentEncoding]: 'gzip',
    ...more,
  },
});

/**
 * Publishes a batch; resolves with the sequence of its last message once JetStream has it all. The same message within 2
 * minutes is kept once. Throws `unavailable` when there is no answer.
 */
export const publishJobEvents = async (nc: NatsConnection, batch: JobEventBatch): Promise<number> => {
  const stream = jetstream(nc);
  const subject = jobEventsSubject(batch.jobId);
  try {
    const acknowledged = await Promise.all(
      jobEventMessages(batch, nc.info?.max_payload ?? 1_048_576).map((message) =>
        stream.publish(subject, message.body, {
          msgID: message.messageId,
          headers: headersOf(message.headers),
          timeout: 5_000,
          expect: { streamName: streamNames.jobEvents },
        }),
      ),
    );
    return Math.max(...acknowledged.map(({ seq }) => seq));
  } catch (error) {
    if (error instanceof JetStreamApiError)
      throw new PlatformError(
        'unavailable',
        `JetStream did not take events of job ${batch.jobId}: ${error.message}`,
        {
          cause: error,
        },
      );
    throw fromNats(error, `publish ${subject}`);
  }
};

const headersOf = (values: Record<string, string>): MsgHdrs => {
  const result = headers();
  for (const [name, value] of Object.entries(values)) result.set(name, value);
  return result;
};
