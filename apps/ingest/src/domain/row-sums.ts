/** What is written beside a chunk so that its row can be checked whole: docs/RECORD.md section 3. */

/** The text whose SHA-256 is a chunk's `header_sha256`. `receivedAt`: milliseconds since 1970. */
export const headerText = (chunk: {
  jobId: string;
  firstCounter: number;
  lastCounter: number;
  firstLine: number;
  lastLine: number;
  epoch: number;
  rawLength: number;
  codec: number;
  receivedAt: number;
  previousHash: string;
  hash: string;
}): string =>
  [
    chunk.jobId,
    chunk.firstCounter,
    chunk.lastCounter,
    chunk.firstLine,
    chunk.lastLine,
    chunk.epoch,
    chunk.rawLength,
    chunk.codec,
    // Microseconds, as Postgres keeps them.
    new Date(chunk.receivedAt).toISOString().replace('Z', '000Z'),
    chunk.previousHash,
    chunk.hash,
  ].join('|');
