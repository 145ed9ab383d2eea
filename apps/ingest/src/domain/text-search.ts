/**
 * Looking for a text in what a job printed, fast enough for a million events: a chunk's bytes are looked at first, as JSON, and only
 * a chunk that may hold the text is parsed. Parsing all of them would take several times as long.
 */
import { plainText } from '@gantry/contracts/terminal-text';

/** Looks for one text. */
export interface TextSearch {
  /** False only if no event of this NDJSON printed the text. */
  mayHold(raw: Buffer): boolean;
  /** Is it in this line? Colours aside; upper and lower case are the same. */
  inLine(line: string): boolean;
  /** Is it in what an event printed, in one line or over several? */
  inOutput(stdout: string): boolean;
}

/** Characters that JSON's writers do not write in another way, and that hiding sequences do not consist of alone. */
const PLAIN = /[a-z0-9 _.:;,()[\]{}=*#!?@%$|~^-]+/g;
/** Colours may stand in the middle of a text. In JSON: */
const COLOURS = String.raw`(?:\\u001b\[[0-9;:]*m)*`;
/** So may all else that `plainText` takes out. It is rare: a chunk that has any is parsed. */
const HIDDEN = String.raw`\\(?:u(?:00[01][0-9a-f](?<!1b)|001b(?!\[[0-9;:]*m)|007f|00[89]|20[0-6])|[bf])`;
/** The same in UTF-8 (read as Latin-1), from a writer that escapes little or a line that is no JSON; and the bytes it begins with. */
const HIDDEN_UNESCAPED =
  /[\u001b\u007f]|\u00c2[\u0080-\u009f]|\u00e2(?:\u0080[\u008e\u008f\u00aa-\u00ae]|\u0081[\u00a6-\u00a9])/;
const MAY_HIDE = [0x1b, 0x7f, 0xc2, 0xe2];

/** Looks for `text`, 1 to 200 characters. */
export const createTextSearch = (text: string): TextSearch => {
  const needle = text.toLowerCase();
  const runs = needle.match(PLAIN) ?? [];
  const longest = runs.reduce((best, run) => (run.length > best.length ? run : best), '');
  const letters = [...longest].map((letter) => letter.replace(/[^a-z0-9 _]/, String.raw`\$&`));
  const pattern = new RegExp(`${letters.join(COLOURS)}|${HIDDEN}`, 'i');
  return {
    mayHold: (raw) => {
      const json = raw.toString('latin1');
      return (
        longest === '' ||
        pattern.test(json) ||
        (MAY_HIDE.some((byte) => raw.includes(byte)) && HIDDEN_UNESCAPED.test(json))
      );
    },
    inLine: (line) => plainText(line).toLowerCase().includes(needle),
    inOutput: (stdout) =>
      stdout.length > 0 && stdout.split('\n').map(plainText).join('\n').toLowerCase().includes(needle),
  };
};
