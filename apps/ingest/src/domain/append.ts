/** What becomes of a batch that a pod sends: docs/PROTOCOL.md 1.4, as a pure function of the record and the batch. */

/** What a record says while its row is locked. */
export interface RecordState {
  epoch: number;
  lastCounter: number;
  /** Hex. */
  head: string;
  sealed: boolean;
  closed: boolean;
}

/** What a batch claims to be. Counters are of whole events, hashes hex. */
export interface BatchClaim {
  epoch: number;
  firstCounter: number;
  lastCounter: number;
  previousHash: string;
  hash: string;
}

/** A chunk that is committed. */
export interface CommittedChunk {
  firstCounter: number;
  lastCounter: number;
  hash: string;
}

/** The verdict. `compare`: the batch is cut otherwise than what is committed, only its bytes can tell. */
export type Verdict =
  | { kind: 'append' }
  | { kind: 'stale_epoch' }
  | { kind: 'closed' }
  | { kind: 'gap' }
  | { kind: 'committed' }
  | { kind: 'integrity'; committedHash: string }
  | { kind: 'compare' };

/** True if the batch begins at or below what is committed: its verdict needs the chunk that begins there. */
export const reachesBack = (state: RecordState, batch: BatchClaim): boolean =>
  batch.firstCounter <= state.lastCounter;

/** Judges a batch. `committed` is the chunk that begins with the batch's first counter, null if none does. */
export const judge = (state: RecordState, batch: BatchClaim, committed: CommittedChunk | null): Verdict => {
  if (state.closed) return { kind: 'closed' };
  if (batch.epoch !== state.epoch) return { kind: 'stale_epoch' };
  if (reachesBack(state, batch)) {
    if (!committed || committed.lastCounter !== batch.lastCounter) return { kind: 'compare' };
    return committed.hash === batch.hash
      ? { kind: 'committed' }
      : { kind: 'integrity', committedHash: committed.hash };
  }
  if (state.sealed) return { kind: 'closed' };
  // Right counter but another chain: the agent remembers a history that is not ours. It has to look at `head`.
  if (batch.firstCounter !== state.lastCounter + 1 || batch.previousHash !== state.head)
    return { kind: 'gap' };
  return { kind: 'append' };
};
