/** Output of a terminal in pieces of one look each. Nothing here makes HTML. */
import { keepColours } from '@gantry/contracts/terminal-text';
import Anser from 'anser';

/** A piece of a line with one look. */
export interface Segment {
  text: string;
  /** CSS class names. */
  className: string;
}

/** Decorations that are shown; "hidden" and "blink" are not among them. */
const DECORATIONS = new Set(['bold', 'dim', 'italic', 'underline', 'strikethrough']);
const COLOUR = /^ansi-(bright-)?(black|red|green|yellow|blue|magenta|cyan|white)$/;

/** The line in pieces of one look each. */
export const segmentsOf = (line: string): Segment[] => {
  const clean = keepColours(line);
  if (!clean.includes('\u001b')) return clean ? [{ text: clean, className: '' }] : [];
  return Anser.ansiToJson(clean, { json: true, use_classes: true, remove_empty: true }).map((entry) => ({
    text: entry.content,
    className: [
      ...(COLOUR.test(entry.fg ?? '') ? [`${entry.fg}-fg`] : []),
      ...(COLOUR.test(entry.bg ?? '') ? [`${entry.bg}-bg`] : []),
      ...entry.decorations
        .filter((decoration) => DECORATIONS.has(decoration))
        .map((decoration) => `ansi-${decoration}`),
    ].join(' '),
  }));
};
