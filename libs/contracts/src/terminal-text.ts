/**
 * What a program printed, made safe to show: colours and weights (SGR) are kept, every other terminal sequence is dropped, and
 * what would hide or reorder text is made visible. The record keeps the bytes as they came; this is for whoever looks at them.
 */

const ESC = '\u001b';
/**
 * All that is not text, in one pass: taking something out must not make a sequence of what stood around it. In turn: OSC, DCS,
 * SOS, PM and APC strings up to their end (or the end of the line), as ESC sequences and as C1 controls; a CSI sequence (group 1
 * are its parameters, group 2 its final byte); any other escape sequence; controls but tab and CR; characters that reorder or
 * hide what follows.
 */
const NO_TEXT = new RegExp(
  [
    /(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c)?/,
    /(?:\u001b\[|\u009b)([0-?]*)[ -/]*([@-~])?/,
    /\u001b[ -/]*[0-~]?/,
    /[\u0000-\u0008\u000a-\u000c\u000e-\u001f\u007f-\u009f]/,
    /[\u200e\u200f\u202a-\u202e\u2066-\u2069]/,
  ]
    .map(({ source }) => source)
    .join('|'),
  'g',
);
const SGR = /\u001b\[[0-9;:]*m/g;
const SUSPICIOUS = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/;

/** One line (no line feed in it) with SGR sequences only. A carriage return inside it is shown, so that it cannot hide what stood before. */
export const keepColours = (line: string): string => {
  if (!SUSPICIOUS.test(line)) return line;
  return line
    .replace(NO_TEXT, (found, parameters: string | undefined, final: string | undefined) => {
      if (final === 'm' && /^[0-9;:]*$/.test(parameters!)) return `${ESC}[${parameters}m`;
      return found >= '\u200e' ? `⟨U+${found.charCodeAt(0).toString(16).toUpperCase()}⟩` : '';
    })
    .replace(/\r+$/, '')
    .replace(/\r+/g, '␍');
};

/** One line as plain text: what is searched and copied. */
export const plainText = (line: string): string => keepColours(line).replace(SGR, '');

/** A piece of a line with one look. */
export interface Piece {
  text: string;
  /** Names of its colours and weights, apart by spaces, `ansi-green-fg ansi-bold`; empty for none. Closed set: nothing in them is the output's own. */
  classes: string;
}

const COLOURS = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'];
/** SGR numbers that switch a weight on. "hidden", "blink" and "reverse" are not among them: no look may hide text. */
const ON: Record<number, string> = { 1: 'bold', 2: 'dim', 3: 'italic', 4: 'underline', 9: 'strikethrough' };
const OFF: Record<number, readonly string[]> = {
  21: ['bold'],
  22: ['bold', 'dim'],
  23: ['italic'],
  24: ['underline'],
  29: ['strikethrough'],
};

/**
 * Cuts lines into pieces of one look each, safe to show. What one line leaves switched on is still on in the next one, as in a
 * terminal: a painter reads lines in order. Linear in the length of a line; what it remembers is two colours and five weights.
 * Colours beyond the sixteen named ones are read over.
 */
export const createPainter = (): ((line: string) => Piece[]) => {
  let [foreground, background] = ['', ''];
  const weights = new Set<string>();
  const setColour = (number: number, name: string): void => {
    if (number >= 40 && number < 90) background = name && `${name}-bg`;
    else if (number < 100) foreground = name && `${name}-fg`;
    else background = name && `${name}-bg`;
  };
  const apply = (number: number): void => {
    const colour = COLOURS[number % 10];
    if (number === 0) {
      [foreground, background] = ['', ''];
      weights.clear();
    } else if (ON[number]) weights.add(ON[number]);
    else if (OFF[number]) for (const weight of OFF[number]) weights.delete(weight);
    else if (number === 39 || number === 49) setColour(number, '');
    else if (colour && [3, 4].includes(Math.floor(number / 10))) setColour(number, `ansi-${colour}`);
    else if (colour && [9, 10].includes(Math.floor(number / 10))) setColour(number, `ansi-bright-${colour}`);
  };
  const applyAll = (parameters: string): void => {
    const all = parameters.split(';');
    for (let index = 0; index < all.length; index++) {
      const [first, second] = all[index]!.split(':', 2);
      const number = Number(first);
      if (number === 38 || number === 48) {
        setColour(number, '');
        if (second === undefined) index += all[index + 1] === '5' ? 2 : all[index + 1] === '2' ? 4 : 1;
      } else apply(number === 4 && second === '0' ? 24 : number);
    }
  };
  return (line) => {
    const pieces: Piece[] = [];
    const add = (text: string): void => {
      if (text === '') return;
      const classes = [foreground, background, ...[...weights].map((weight) => `ansi-${weight}`)]
        .filter(Boolean)
        .join(' ');
      const last = pieces.at(-1);
      if (last?.classes === classes) last.text += text;
      else pieces.push({ text, classes });
    };
    const clean = keepColours(line);
    let from = 0;
    for (const match of clean.matchAll(SGR)) {
      add(clean.slice(from, match.index));
      applyAll(match[0].slice(2, -1));
      from = match.index + match[0].length;
    }
    add(clean.slice(from));
    return pieces;
  };
};
