import { describe, expect, it } from 'vitest';
import { keepColours, plainText, segmentsOf } from './ansi.js';

const esc = '\u001b';

describe('a coloured line', () => {
  it('keeps its colours in pieces', () => {
    expect(segmentsOf(`${esc}[0;32mok: [web1]${esc}[0m done`)).toEqual([
      { text: 'ok: [web1]', className: 'ansi-green-fg' },
      { text: ' done', className: '' },
    ]);
  });

  it('keeps bright colours and weight', () => {
    expect(segmentsOf(`${esc}[1;91mfatal${esc}[0m`)).toEqual([
      { text: 'fatal', className: 'ansi-bright-red-fg ansi-bold' },
    ]);
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

  it('cannot hide text by a look or reorder it', () => {
    expect(segmentsOf(`${esc}[8msecret move${esc}[0m`)).toEqual([{ text: 'secret move', className: '' }]);
    expect(keepColours('a\u202eb')).toBe('a⟨U+202E⟩b');
  });

  it('stays text when it looks like HTML', () => {
    expect(segmentsOf('<img src=x onerror=alert(1)>')).toEqual([
      { text: '<img src=x onerror=alert(1)>', className: '' },
    ]);
  });

  it('loses what an unfinished sequence began', () => {
    expect(keepColours(`x${esc}[31`)).toBe('x');
    expect(keepColours(`x${esc}`)).toBe('x');
    expect(keepColours(`x${esc}]0;never ends`)).toBe('x');
  });
});
