/**
 * A search in the output of a job. The server finds the lines (`outputMatches`), so that a job of any length is searched in a
 * request or two; the page keeps those between two lines, `from` and `to`, and asks for more in either direction as somebody steps
 * past them:
 *
 *   begin: forward from where one looks until there is a match, then back once: few matches are all known, and counted.
 *   step:  the next known match; else more in that direction; else round: from the other end, searched anew unless all is known.
 *   more:  forward, as a list of matches is scrolled to its end, or as a running job prints more.
 *
 * One request at a time; what is asked for meanwhile waits.
 */

/** What the server found: lines in order, and how far it got. */
export interface MatchesPage {
  nodes: { line: number; text: string }[];
  searchedLine: number;
  complete: boolean;
}
/** Asks for the first matches from a line on, or backwards for the last ones above it. */
export type FindMatches = (fromLine: number, backwards: boolean) => Promise<MatchesPage>;

/** The line after (or before) `from` in an ascending list; null if there is none. */
export const neighbour = (lines: readonly number[], from: number, step: 1 | -1): number | null =>
  (step === 1 ? lines.find((line) => line > from) : lines.findLast((line) => line < from)) ?? null;

/** One search. `lines`: those found, in order. */
export class OutputSearch {
  lines: readonly number[] = [];
  /** Nothing matches above the first line, or below the last one when it was last asked. */
  topReached: boolean;
  endReached = false;
  /** It waits for an answer. */
  searching = false;
  /** The last request failed; the next step asks again. */
  failed = false;
  private from: number;
  private to: number;
  private turn: Promise<unknown> = Promise.resolve();
  private readonly find: FindMatches;
  private readonly changed: () => void;

  constructor(start: number, find: FindMatches, changed: () => void) {
    [this.from, this.to, this.topReached] = [start, start, start === 0];
    [this.find, this.changed] = [find, changed];
  }

  /** Are all matches known, so that their number is? */
  get allKnown(): boolean {
    return this.topReached && this.endReached;
  }

  /** Finds the first match from the start on, or else the last one above it. Null if nothing matches. */
  begin(): Promise<number | null> {
    return this.inTurn(async () => {
      while (this.lines.length === 0 && !this.endReached) await this.forward();
      const first = this.lines[0] ?? null;
      if (!this.topReached) await this.back();
      while (this.lines.length === 0 && !this.topReached) await this.back();
      return first ?? this.lines.at(-1) ?? null;
    });
  }

  /** The match after (or before) a line, going round at the ends. Null if nothing matches. */
  step(line: number | null, by: 1 | -1, totalLines: number): Promise<number | null> {
    return this.inTurn(async () => {
      const at = line ?? (by === 1 ? this.from - 1 : this.to);
      const between = (this.topReached || at >= this.from - 1) && (this.endReached || at <= this.to);
      // Somebody went far away: what lies between is not searched.
      if (!between) this.startAt(by === 1 ? at + 1 : at);
      const known = () => neighbour(this.lines, at, by);
      while (known() === null && !(by === 1 ? this.endReached : this.topReached))
        await (by === 1 ? this.forward() : this.back());
      const next = known();
      if (next !== null) return next;
      if (!this.allKnown) await this.goRound(by, totalLines);
      return (by === 1 ? this.lines[0] : this.lines.at(-1)) ?? null;
    });
  }

  /** Anew from the first line, for a list of the matches from its beginning; unless they are known from there on. */
  fromTop(): Promise<void> {
    return this.inTurn(async () => {
      if (!this.topReached) await this.goRound(1, 0);
    });
  }

  /** More matches below the last one. */
  more(): Promise<void> {
    return this.inTurn(() => this.forward());
  }

  /** The job has so many lines by now. */
  grown(totalLines: number): void {
    if (this.endReached && totalLines > this.to && !this.searching) void this.more().catch(() => undefined);
  }

  /** Anew, from the end that a step forward (or back) comes to when it goes round. */
  private async goRound(by: 1 | -1, totalLines: number): Promise<void> {
    this.startAt(by === 1 ? 0 : totalLines);
    this.endReached = by === -1;
    while (this.lines.length === 0 && !(by === 1 ? this.endReached : this.topReached))
      await (by === 1 ? this.forward() : this.back());
  }

  private startAt(line: number): void {
    [this.lines, this.from, this.to] = [[], line, line];
    [this.topReached, this.endReached] = [line === 0, false];
  }

  private async forward(): Promise<void> {
    const { nodes, searchedLine, complete } = await this.find(this.to, false);
    if (nodes.length > 0) this.lines = [...this.lines, ...nodes.map(({ line }) => line)];
    [this.to, this.endReached] = [Math.max(this.to, searchedLine), complete];
    this.changed();
  }

  private async back(): Promise<void> {
    const { nodes, searchedLine, complete } = await this.find(this.from, true);
    if (nodes.length > 0) this.lines = [...nodes.map(({ line }) => line), ...this.lines];
    [this.from, this.topReached] = [searchedLine, complete];
    this.changed();
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const run = async (): Promise<T> => {
      [this.searching, this.failed] = [true, false];
      this.changed();
      try {
        return await work();
      } catch (error) {
        this.failed = true;
        throw error;
      } finally {
        this.searching = false;
        this.changed();
      }
    };
    const done = this.turn.then(run, run);
    this.turn = done.catch(() => undefined);
    return done;
  }
}
