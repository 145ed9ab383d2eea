/** Output as HTML: text in spans with the classes of its colours, and nothing else. A page brings its own style for them. */
import { keepColours } from '@gantry/contracts/terminal-text';
import Anser from 'anser';

/**
 * Lines as HTML, to be set in a `<pre>`: escaped text, `<span class="ansi-green-fg ansi-bold">` around what is coloured. A
 * colour goes on over line ends until it is changed, as in a terminal. Nothing of the output becomes a tag, a link or a style.
 */
export const htmlOf = (lines: readonly string[]): string =>
  Anser.ansiToJson(lines.map(keepColours).join('\n'), { json: true, use_classes: true, remove_empty: true })
    .map(({ content, fg, bg, decorations }) => {
      const classes = [
        ...(COLOUR.test(fg ?? '') ? [`${fg}-fg`] : []),
        ...(COLOUR.test(bg ?? '') ? [`${bg}-bg`] : []),
        ...decorations
          .filter((decoration) => DECORATIONS.has(decoration))
          .map((decoration) => `ansi-${decoration}`),
      ];
      const text = escaped(content);
      return classes.length > 0 ? `<span class="${classes.join(' ')}">${text}</span>` : text;
    })
    .join('');

/** "hidden" and "blink" are not among them: no look may hide text. */
const DECORATIONS = new Set(['bold', 'dim', 'italic', 'underline', 'strikethrough']);
const COLOUR = /^ansi-(bright-)?(black|red|green|yellow|blue|magenta|cyan|white)$/;
const ESCAPES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const escaped = (text: string): string => text.replace(/[&<>"']/g, (character) => ESCAPES[character]!);
