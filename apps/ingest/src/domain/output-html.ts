/** Output as HTML: text in spans with the classes of its colours, and nothing else. A page brings its own style for them. */
import { createPainter } from '@gantry/contracts/terminal-text';

/**
 * Makes HTML of lines, one after the other, to be set in a `<pre>`: escaped text, `<span class="ansi-green-fg ansi-bold">` around
 * what is coloured. A colour goes on in the next line until it is changed, as in a terminal, but each line closes its own spans.
 * Nothing of the output becomes a tag, a link or a style.
 */
export const createHtmlWriter = (): ((line: string) => string) => {
  const paint = createPainter();
  return (line) =>
    paint(line)
      .map(({ text, classes }) =>
        classes ? `<span class="${classes}">${escapeHtml(text)}</span>` : escapeHtml(text),
      )
      .join('');
};

const ESCAPES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
/** Text as HTML that shows it. */
export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => ESCAPES[character]!);
