import { describe, expect, it } from 'vitest';
import { htmlOf } from './output-html.js';

const esc = '\u001b';

describe('output as HTML', () => {
  it('has its colours as classes, over line ends too', () => {
    expect(htmlOf([`${esc}[0;32mok: [web1] => {`, `    "msg": "a & b"`, `}${esc}[0m`, 'done'])).toBe(
      '<span class="ansi-green-fg">ok: [web1] =&gt; {\n    &quot;msg&quot;: &quot;a &amp; b&quot;\n}</span>\ndone',
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
});
