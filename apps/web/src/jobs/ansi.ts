/** Output of a terminal in pieces of one look each. Nothing here makes HTML. */
import { createPainter } from '@gantry/contracts/terminal-text';

/** A piece of a line with one look. */
export interface Segment {
  text: string;
  /** CSS class names. */
  className: string;
}

/** The line in pieces of one look each. */
export const segmentsOf = (line: string): Segment[] =>
  createPainter()(line).map(({ text, classes }) => ({ text, className: classes }));
