import { describe, expect, it } from 'vitest';
import { segmentsOf } from './ansi.js';

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
});

describe('a hostile line', () => {
  it('cannot hide text by a look', () => {
    expect(segmentsOf(`${esc}[8msecret move${esc}[0m`)).toEqual([{ text: 'secret move', className: '' }]);
  });

  it('stays text when it looks like HTML', () => {
    expect(segmentsOf('<img src=x onerror=alert(1)>')).toEqual([
      { text: '<img src=x onerror=alert(1)>', className: '' },
    ]);
  });
});
