import { describe, expect, it } from 'vitest';
import { createHtmlWriter } from './output-html.js';

const esc = '\u001b';
const htmlOf = (lines: string[]): string => lines.map(createHtmlWriter()).join('\n');

describe('output as HTML', () => {
  it('has its colours as classes, over line ends too', () => {
    expect(htmlOf([`${esc}[0;32mok: [web1] => {`, `    "msg": "a & b"`, `}${esc}[0m`, 'done'])).toBe(
      [
        '<span class="ansi-green-fg">ok: [web1] =&gt; {</span>',
        '<span class="ansi-green-fg">    &quot;msg&quot;: &quot;a &amp; b&quot;</span>',
        '<span class="ansi-green-fg">}</span>',
        'done',
      ].join('\n'),
    );
  });

  it('stays text, whatever was printed', () => {
    expect(
      htmlOf([
        '<img src=x onerror=alert(1)>',
        `a${esc}]8;;javascript:alert(1)${esc}\\link${esc}]8;;${esc}\\b`,
      ]),
    ).toBe('&lt;img src=x onerror=alert(1)&gt;\nalinkb');
  });

  it('has no class that the output could choose', () => {
    const html = htmlOf([
      `${esc}[38;5;200mx${esc}[38;2;1;2;3my${esc}[8mhidden${esc}[5mblink${esc}[1;91mz${esc}[0m`,
    ]);
    expect(html.replace(/<span class="ansi-bright-red-fg ansi-bold">z<\/span>/, 'z')).toBe('xyhiddenblinkz');
  });

  it('is text in spans of known classes, for any bytes', () => {
    const parts = [
      esc,
      '[',
      ']',
      ';',
      ':',
      'm',
      '1',
      '38',
      '5',
      '2',
      '31',
      '107',
      '<b',
      '"',
      "'",
      '&',
      '\r',
      '\u009b',
      '\u0007',
      'x',
    ];
    let seed = 7;
    const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    const write = createHtmlWriter();
    for (let round = 0; round < 3_000; round++) {
      const html = write(Array.from({ length: random(40) }, () => parts[random(parts.length)]!).join(''));
      expect(
        html.replace(/<span class="(?:ansi-[a-z-]+ ?)+">|<\/span>|&(?:amp|lt|gt|quot|#39);/g, ''),
      ).not.toMatch(/[<>&"'\u0000-\u0008\u000a-\u001f\u007f-\u009f]/);
    }
  });

  it('remembers nothing of how often a look was asked for', () => {
    const line = `${esc}[1mx`.repeat(40_000);
    expect(htmlOf([line])).toBe(`<span class="ansi-bold">${'x'.repeat(40_000)}</span>`);
    expect(htmlOf([`${esc}[${'1;'.repeat(40_000)}0my`])).toBe('y');
  });
});
