import { randomBytes } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { jobEventMessages, type JobEventBatch } from './job-events.js';

const batchOf = (lines: readonly string[]): JobEventBatch => {
  const raw = Buffer.from(lines.map((line) => `${line}\n`).join(''));
  return {
    jobId: 'job',
    organizationId: 'organization',
    firstCounter: 11,
    lastCounter: 10 + lines.length,
    firstLine: 3,
    lastLine: 9,
    rawLength: raw.length,
    previousHash: 'before',
    hash: 'after',
    payload: gzipSync(raw),
  };
};
const random = (bytes: number): string => randomBytes(bytes / 2).toString('hex');

describe('a batch for other systems', () => {
  it('is one message with the bytes as they are stored', () => {
    const batch = batchOf(['{"a":1}', '{"a":2}']);
    expect(jobEventMessages(batch, 1_048_576)).toEqual([
      {
        messageId: 'job:11',
        body: batch.payload,
        headers: {
          'Gantry-Job-Id': 'job',
          'Gantry-Organization-Id': 'organization',
          'Gantry-First-Counter': '11',
          'Gantry-Last-Counter': '12',
          'Gantry-Raw-Bytes': '16',
          'Content-Encoding': 'gzip',
          'Gantry-First-Line': '3',
          'Gantry-Last-Line': '9',
          'Gantry-Previous-Hash': 'before',
          'Gantry-Hash': 'after',
        },
      },
    ]);
  });
  it('is cut between events when it is larger than a message may be', () => {
    const lines = Array.from({ length: 50 }, () => random(2_000));
    const messages = jobEventMessages(batchOf(lines), 20_000);
    expect(messages.length).toBeGreaterThan(1);
    expect(messages.every(({ body }) => body.length <= 20_000 - 4_096)).toBe(true);
    expect(messages.map(({ body }) => gunzipSync(body).toString()).join('')).toBe(
      lines.map((line) => `${line}\n`).join(''),
    );
    const spans = messages.map(({ headers }) => [
      Number(headers['Gantry-First-Counter']),
      Number(headers['Gantry-Last-Counter']),
    ]);
    expect(spans[0]![0]).toBe(11);
    expect(spans.at(-1)![1]).toBe(60);
    for (const [index, [first]] of spans.entries())
      if (index > 0) expect(first).toBe(spans[index - 1]![1]! + 1);
  });
  it('says of an event that no message can hold how large it is', () => {
    const messages = jobEventMessages(batchOf(['{}', random(60_000), '{}']), 20_000);
    expect(messages.map(({ headers }) => headers['Gantry-Left-Out'])).toEqual([
      undefined,
      '60001',
      undefined,
    ]);
    expect(messages.map(({ messageId }) => messageId)).toEqual(['job:11', 'job:12', 'job:13']);
  });
});
