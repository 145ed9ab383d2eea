/** Where a reader of a log stands. */

/**
 * A place in a service's log: everything up to and including it has been read. Opaque: take it from a stored event or
 * from a reader, hand it back, compare it with `compareCheckpoints`. A StoredEvent is itself a Checkpoint.
 */
export interface Checkpoint {
  /** Postgres's 64-bit transaction id, decimal. */
  readonly transactionId: string;
  /** Identity value of the row, decimal. */
  readonly position: string;
}

/** Before the first event. */
export const logStart: Checkpoint = Object.freeze({ transactionId: '0', position: '0' });

/** The checkpoint that says `event` has been read. */
export const checkpointOf = (event: Checkpoint): Checkpoint => ({
  transactionId: event.transactionId,
  position: event.position,
});

/** Below zero when `a` comes before `b` in the log's order, zero when they are the same place, above zero after. */
export const compareCheckpoints = (a: Checkpoint, b: Checkpoint): number =>
  compareNumbers(a.transactionId, b.transactionId) || compareNumbers(a.position, b.position);

// Both are 64 bits wide: more than a JavaScript number holds.
const compareNumbers = (a: string, b: string): number => {
  const [x, y] = [BigInt(a), BigInt(b)];
  return x < y ? -1 : x > y ? 1 : 0;
};
