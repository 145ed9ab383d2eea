import { describe, expect, it } from 'vitest';
import { createPainter, keepColours, plainText } from './terminal-text.js';

const esc = '\u001b';

describe('a coloured line', () => {
  it('keeps its colours', () => {
    expect(keepColours(`${esc}[0;31mfatal${esc}[0m: [db1]`)).toBe(`${esc}[0;31mfatal${esc}[0m: [db1]`);
  });

  it('is plain text to a search', () => {
    expect(plainText(`${esc}[0;31mfatal${esc}[0m: [db1]`)).toBe('fatal: [db1]');
  });
});

describe('a hostile line', () => {
  it('cannot write to the clipboard', () => {
    expect(keepColours(`a${esc}]52;c;aGk=\u0007b`)).toBe('ab');
  });

  it('cannot make links or set the title', () => {
    expect(keepColours(`${esc}]8;;http://example.org${esc}\\click${esc}]8;;${esc}\\`)).toBe('click');
    expect(keepColours(`${esc}]0;root shell\u0007x`)).toBe('x');
    expect(keepColours('\u009d0;title\u009cx')).toBe('x');
  });

  it('cannot move the cursor or clear', () => {
    expect(keepColours(`one${esc}[1A${esc}[2Ktwo${esc}c`)).toBe('onetwo');
  });

  it('cannot hide text behind a carriage return', () => {
    expect(keepColours('rm -rf /\rls\r')).toBe('rm -rf /␍ls');
  });

  it('loses what an unfinished sequence began', () => {
    expect(keepColours(`x${esc}[31`)).toBe('x');
    expect(keepColours(`x${esc}`)).toBe('x');
    expect(keepColours(`x${esc}]0;never ends`)).toBe('x');
  });

  it('cannot reorder text', () => {
    expect(keepColours('a\u202eb')).toBe('a⟨U+202E⟩b');
  });

  it('cannot have a sequence put together by what is taken out of it', () => {
    for (const removed of ['\u009bA', '\u0007', '\u009d0;x\u0007', '\u0001', `${esc}[A`, `${esc}c`])
      expect(keepColours(`x${esc}${removed}[2Jy`), JSON.stringify(removed)).not.toContain(esc);
  });

  it('is never more than text and colours, whatever bytes it is made of', () => {
    const pieces = [
      esc,
      '\u009b',
      '\u009d',
      '\u0090',
      '[',
      ']',
      '52;c;',
      '31',
      'm',
      'A',
      '?25l',
      '\u0007',
      '\\',
      '\r',
      '\b',
      'x',
    ];
    let seed = 7;
    const next = (most: number) => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % most;
    for (let round = 0; round < 5_000; round++) {
      const line = Array.from({ length: next(24) }, () => pieces[next(pieces.length)]).join('');
      const kept = keepColours(line);
      expect(kept.replace(/\u001b\[[0-9;:]*m/g, ''), JSON.stringify(line)).not.toMatch(
        /[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/,
      );
      expect(plainText(line)).not.toContain(esc);
    }
  });
});

describe('a painter', () => {
  const paint = (...lines: string[]) => lines.map(createPainter());
  it('carries a look into the next line until it is changed', () => {
    expect(paint(`${esc}[1;31ma`, `b${esc}[22mc`, `${esc}[md`)).toEqual([
      [{ text: 'a', classes: 'ansi-red-fg ansi-bold' }],
      [
        { text: 'b', classes: 'ansi-red-fg ansi-bold' },
        { text: 'c', classes: 'ansi-red-fg' },
      ],
      [{ text: 'd', classes: '' }],
    ]);
  });
  it('knows the sixteen colours, before and behind, and takes them back', () => {
    const [line] = paint(`${esc}[30;107ma${esc}[39mb${esc}[97;40mc${esc}[49md`);
    expect(line!.map(({ classes }) => classes)).toEqual([
      'ansi-black-fg ansi-bright-white-bg',
      'ansi-bright-white-bg',
      'ansi-bright-white-fg ansi-black-bg',
      'ansi-bright-white-fg',
    ]);
  });
  it('reads over colours without a name, their numbers included', () => {
    for (const parameters of ['38;5;1', '48;2;1;3;4', '38:2::1:3:4', '38:5:1', '4:0', '8', '7', '38', '38;9'])
      expect(paint(`${esc}[${parameters}mx`), parameters).toEqual([[{ text: 'x', classes: '' }]]);
    expect(paint(`${esc}[38;5;1;4mx`)).toEqual([[{ text: 'x', classes: 'ansi-underline' }]]);
  });
});
