/** The frame around output in HTML (spans with colour classes), so that the file stands alone: no script, nothing from elsewhere. */

const COLOURS: Record<string, string> = {
  black: '#7a828c',
  red: '#ff7b72',
  green: '#56d364',
  yellow: '#e3b341',
  blue: '#79c0ff',
  magenta: '#d2a8ff',
  cyan: '#56d4dd',
  white: '#e6edf3',
};

const colourRules = Object.entries(COLOURS).flatMap(([name, value]) => [
  `.ansi-${name}-fg,.ansi-bright-${name}-fg{color:${value}}`,
  `.ansi-${name}-bg,.ansi-bright-${name}-bg{background:${value};color:#0d1117}`,
]);

const STYLE = [
  'body{margin:0;background:#0d1117;color:#e6edf3}',
  'pre{margin:0;padding:1rem;white-space:pre-wrap;overflow-wrap:anywhere;font:13px/1.5 ui-monospace,monospace}',
  '.ansi-bold{font-weight:600}.ansi-dim{opacity:.7}.ansi-italic{font-style:italic}',
  '.ansi-underline{text-decoration:underline}.ansi-strikethrough{text-decoration:line-through}',
  ...colourRules,
].join('\n');

/** What stands before the output and after it. `title` has no character that means something in HTML. */
export const outputDocument = (title: string): { before: string; after: string } => ({
  before: `<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>${title}</title>\n<style>\n${STYLE}\n</style>\n<pre>`,
  after: '</pre>\n</html>\n',
});
