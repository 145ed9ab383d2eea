import { describe, expect, it } from 'vitest';
import { createTextSearch } from './text-search.js';

/** As Python's json writes it: ASCII only. */
const escaped = (stdout: string): Buffer =>
  Buffer.from(
    JSON.stringify({ counter: 1, stdout }).replace(
      /[\u007f-\uffff]/g,
      (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
    ),
  );
const printed: [string, string][] = [
  ['the needle in the hay', 'NEEDLE in'],
  ['\u001b[0;32mok\u001b[0m: [\u001b[1mweb1\u001b[0m]', 'ok: [web1]'],
  ['ne\u001b[31;1medle', 'needle'],
  ['ne\u001b]8;;http://x\u0007edle', 'needle'],
  ['ne\u001b[2Kedle', 'needle'],
  ['ne\u0007edle', 'needle'],
  ['ne\bedle', 'needle'],
  ['ne\u007fedle', 'needle'],
  ['ne\u009b31medle', 'needle'],
  ['a "quoted" word, a \\ and a / and <b>', '"quoted" word'],
  ['a "quoted" word, a \\ and a / and <b>', '\\ and a / and <B>'],
  ['Fehler: Gerät nicht gefunden', 'gerät NICHT'],
  ['ÄÖÜ', 'äöü'],
  ['日本語', '本'],
  ['a.b*c', 'A.B*C'],
  ['ne\u202eedle', 'ne⟨U+202E⟩edle'],
];

describe('a search', () => {
  it.each(printed)('finds in %j the text %j, in the bytes of whatever writer', (stdout, text) => {
    const search = createTextSearch(text);
    expect(search.inLine(stdout)).toBe(true);
    expect(search.inOutput(`one line\n${stdout}\r\nanother`)).toBe(true);
    expect(search.mayHold(escaped(stdout))).toBe(true);
    expect(search.mayHold(Buffer.from(JSON.stringify({ stdout })))).toBe(true);
  });

  it('passes over bytes that cannot hold the text, colours or not', () => {
    const search = createTextSearch('needle');
    for (const stdout of ['no such thing', '\u001b[31mred\u001b[0m', 'needl', 'Gerät \u2028 日本'])
      expect(search.mayHold(escaped(stdout)), stdout).toBe(stdout.includes('\u2028'));
    expect(createTextSearch('a.c').mayHold(escaped('abc'))).toBe(false);
  });

  it('looks through lines that are no JSON', () => {
    const search = createTextSearch('needle');
    expect(search.mayHold(Buffer.from('a needle, no JSON'))).toBe(true);
    expect(search.mayHold(Buffer.from('ne\u001b[1medle, no JSON'))).toBe(true);
    expect(search.mayHold(Buffer.from('nothing, no JSON'))).toBe(false);
  });
});
