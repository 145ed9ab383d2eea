/**
 * The lines of a job's output that the page holds: a bounded part of any length. Lines come live and in order at the end, or by
 * number when somebody scrolls to where none are held. Above the bound, the blocks looked at longest ago are let go; they are
 * asked for again when they are needed.
 */

/** Lines in a block; blocks are what is let go and asked for. */
export const BLOCK = 500;
/** Lines held at most. */
const HOLD = 100_000;

/** How the last line begins of output that is not shown whole. */
const CUT = '[cut: ';

type Block = (string | undefined)[];

/** An event with what it printed. */
export interface Printed {
  counter: number;
  stdout: string;
  startLine: number;
  endLine: number;
  failed: boolean;
}

/** Splits printed text into exactly `count` lines. */
export const linesOf = (text: string, count: number): string[] => {
  const lines = text.split('\n', count);
  for (let index = 0; index < lines.length; index++)
    if (lines[index]!.endsWith('\r')) lines[index] = lines[index]!.slice(0, -1);
  while (lines.length < count) lines.push('');
  return lines;
};

/** Holds lines by number, and where the failures are. */
export class OutputStore {
  /** Lines so far, held or not. */
  totalLines = 0;
  /** The last event taken in: where a subscription goes on. */
  lastCounter = 0;
  /** First lines of events that failed, ascending. */
  readonly failures: number[] = [];
  private readonly failed = new Set<number>();
  private readonly blocks = new Map<number, Block>();
  private readonly hold: number;

  constructor(hold = HOLD) {
    this.hold = hold;
  }

  /** A line, if held. Looking at it keeps its block. */
  line(number: number): string | undefined {
    const at = Math.floor(number / BLOCK);
    const block = this.blocks.get(at);
    if (!block) return undefined;
    this.blocks.delete(at);
    this.blocks.set(at, block);
    return block[number % BLOCK];
  }

  /** A line, if held, without keeping it. */
  peek(number: number): string | undefined {
    return this.blocks.get(Math.floor(number / BLOCK))?.[number % BLOCK];
  }

  /** Takes events in the order of their counters; those that were taken before are passed over. */
  take(events: readonly Printed[], lastCounter: number): void {
    for (const event of events) {
      if (event.counter <= this.lastCounter) continue;
      this.lastCounter = event.counter;
      const count = event.endLine - event.startLine;
      if (count <= 0) continue;
      const lines = linesOf(event.stdout, count);
      // Of a very large event only the beginning comes, broken off in a line; the rest is asked for by its lines when somebody looks.
      const cut = lines.findLastIndex((line) => line !== '');
      if (cut < count - 1 && lines[cut]?.startsWith(CUT)) lines.length = Math.max(cut - 1, 0);
      this.put(event.startLine, lines);
      this.extend(event.endLine);
      if (event.failed) this.addFailure(event.startLine);
    }
    this.lastCounter = Math.max(this.lastCounter, lastCounter);
  }

  /** Puts lines in by number. */
  put(startLine: number, lines: readonly string[]): void {
    for (let index = 0; index < lines.length; index++) {
      const number = startLine + index;
      const at = Math.floor(number / BLOCK);
      let block = this.blocks.get(at);
      if (!block) this.blocks.set(at, (block = []));
      block[number % BLOCK] = lines[index]!;
    }
    this.totalLines = Math.max(this.totalLines, startLine + lines.length);
    this.letGo();
  }

  /** Says that there are this many lines, held or not. */
  extend(totalLines: number): void {
    this.totalLines = Math.max(this.totalLines, totalLines);
  }

  /** Goes on after an event without having taken those before it. */
  skipTo(counter: number): void {
    this.lastCounter = Math.max(this.lastCounter, counter);
  }

  /** Notes a failure; failures come mostly in order. */
  addFailure(line: number): void {
    if (this.failed.has(line)) return;
    this.failed.add(line);
    let at = this.failures.length;
    while (at > 0 && this.failures[at - 1]! > line) at--;
    this.failures.splice(at, 0, line);
  }

  /** Does a failure begin at this line? */
  isFailure(line: number): boolean {
    return this.failed.has(line);
  }

  /** The first run of lines not held from `from` up to `to`, widened to whole blocks; null if all are held. */
  missing(from: number, to: number): { startLine: number; endLine: number } | null {
    const last = Math.min(to, this.totalLines);
    for (let number = Math.max(0, from); number < last; number++) {
      if (this.peek(number) !== undefined) continue;
      const startLine = Math.floor(number / BLOCK) * BLOCK;
      return { startLine, endLine: Math.min(Math.ceil(last / BLOCK) * BLOCK, this.totalLines) };
    }
    return null;
  }

  private letGo(): void {
    const most = Math.ceil(this.hold / BLOCK);
    for (const at of this.blocks.keys()) {
      if (this.blocks.size <= most) return;
      this.blocks.delete(at);
    }
  }
}
