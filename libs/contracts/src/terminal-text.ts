/**
 * What a program printed, made safe to show: colours and weights (SGR) are kept, every other terminal sequence is dropped, and
 * what would hide or reorder text is made visible. The record keeps the bytes as they came; this is for whoever looks at them.
 */

const ESC = '\u001b';
/** OSC, DCS, SOS, PM and APC strings up to their end (or the end of the line), both as ESC sequences and as C1 controls. */
const STRINGS =
  /(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c|$)?/g;
/** A CSI sequence; group 1 are its parameters, group 2 its final byte. */
const CSI = /(?:\u001b\[|\u009b)([0-?]*)[ -/]*([@-~])?/g;
/** Any other escape sequence. */
const OTHER = /\u001b(?!\[)[ -/]*[0-~]?/g;
/** Controls but tab and ESC, which by now begins SGR only. */
const CONTROLS = /[\u0000-\u0008\u000a-\u001a\u001c-\u001f\u007f-\u009f]/g;
/** Characters that reorder or hide what follows. */
const BIDI = /[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const SGR = /\u001b\[[0-9;:]*m/g;
const SUSPICIOUS = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/;

/** One line (no line feed in it) with SGR sequences only. A carriage return inside it is shown, so that it cannot hide what stood before. */
export const keepColours = (line: string): string => {
  if (!SUSPICIOUS.test(line)) return line;
  return line
    .replace(STRINGS, '')
    .replace(CSI, (_, parameters: string, final: string | undefined) =>
      final === 'm' && /^[0-9;:]*$/.test(parameters) ? `${ESC}[${parameters}m` : '',
    )
    .replace(OTHER, '')
    .replace(/\r+$/, '')
    .replace(/\r+/g, '␍')
    .replace(CONTROLS, '')
    .replace(BIDI, (character) => `⟨U+${character.charCodeAt(0).toString(16).toUpperCase()}⟩`);
};

/** One line as plain text: what is searched and copied. */
export const plainText = (line: string): string => keepColours(line).replace(SGR, '');
