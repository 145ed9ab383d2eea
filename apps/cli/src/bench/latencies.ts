/** Many latencies in little memory: one counter per tenth of a millisecond up to two minutes. */

const PER_MILLISECOND = 10;
const MOST_MILLISECONDS = 120_000;

/** What came of them. Milliseconds. */
export interface Percentiles {
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

/** A growing set of latencies. */
export interface Latencies {
  /** `times`: how many of the same. A clock that went back counts as 0. */
  add(milliseconds: number, times?: number): void;
  readonly count: number;
  /** All zero when there is none. */
  percentiles(): Percentiles;
}

/** An empty set. */
export const createLatencies = (): Latencies => {
  const buckets = new Uint32Array(MOST_MILLISECONDS * PER_MILLISECOND + 1);
  let count = 0;
  let max = 0;
  const at = (share: number): number => {
    let left = Math.ceil(count * share);
    for (let bucket = 0; bucket < buckets.length; bucket++) {
      left -= buckets[bucket]!;
      if (left <= 0) return bucket / PER_MILLISECOND;
    }
    return MOST_MILLISECONDS;
  };
  return {
    add: (milliseconds, times = 1) => {
      const value = Math.min(MOST_MILLISECONDS, Math.max(0, milliseconds));
      buckets[Math.round(value * PER_MILLISECOND)]! += times;
      count += times;
      max = Math.max(max, value);
    },
    get count() {
      return count;
    },
    percentiles: () =>
      count === 0 ? { p50Ms: 0, p99Ms: 0, maxMs: 0 } : { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: max },
  };
};
