/**
 * Lines of output that hold a text, from a line on in either direction. A page looks for some seconds at most, so that a million
 * events take one or two of them, and says how far it got.
 */
import type { OutputOf, ReceivedBy } from '@gantry/contracts/command';
import type { OutputMatch, SearchOutput } from '@gantry/contracts/record';
import { openChunk, type Chunks, type RawChunk } from './adapters/chunks.js';
import type { JobRecord } from './adapters/records.js';
import { outputOf } from './domain/display.js';
import { createTextSearch, type TextSearch } from './domain/text-search.js';
import { PAGE_BYTES, writeLine } from './record.output.js';

type Found = OutputOf<typeof SearchOutput>;
type Asked = Pick<ReceivedBy<typeof SearchOutput>, 'text' | 'fromLine' | 'backwards' | 'first'>;

const asPrinted = (line: string): string => line;

/** Searches lines below `totalLines`. `milliseconds`: how long at most, but for one chunk. Throws `unavailable`. */
export const searchOutput = async (
  chunks: Chunks,
  record: JobRecord,
  totalLines: number,
  { text, fromLine, backwards, first }: Asked,
  milliseconds: number,
): Promise<Found> => {
  const search = createTextSearch(text);
  const [from, to] = backwards ? [0, Math.min(fromLine, totalLines)] : [fromLine, totalLines];
  const end = backwards ? 0 : Math.max(from, to);
  const matches: OutputMatch[] = [];
  const answer = (searchedLine: number): Found => ({
    matches: backwards ? matches.reverse() : matches,
    searchedLine,
    complete: searchedLine === end,
  });
  const started = performance.now();
  const [start] = from < to ? await chunks.spansFromLine(record, backwards ? to - 1 : from, 1) : [];
  if (!start) return answer(end);
  let bytes = 0;
  for await (const chunk of chunks.walk(record, start.firstCounter, backwards)) {
    if (chunk.firstCounter > record.lastCounter || (!backwards && chunk.firstLine >= to)) continue;
    for (const [line, content] of linesThatHold(chunk, search, backwards)) {
      if (line < from || line >= to || line === matches.at(-1)?.line) continue;
      const { shown, size } = writeLine(asPrinted, content, 'ansi');
      if (matches.length >= first || (bytes > 0 && bytes + size > PAGE_BYTES))
        return answer(backwards ? matches.at(-1)!.line : line);
      matches.push({ line, text: shown });
      bytes += size;
    }
    const searched = backwards ? chunk.firstLine : chunk.lastLine;
    if (performance.now() - started > milliseconds && searched > from && searched < to)
      return answer(searched);
  }
  return answer(end);
};

/** In the direction of the search. */
const linesThatHold = (chunk: RawChunk, search: TextSearch, backwards: boolean): [number, string][] => {
  if (!search.mayHold(chunk.raw)) return [];
  const found = openChunk(chunk.raw, chunk.firstCounter)
    .lines.flatMap(({ event }) => outputOf(event))
    .filter(([, line]) => search.inLine(line));
  return backwards ? found.reverse() : found;
};
