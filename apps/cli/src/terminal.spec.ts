import { describe, expect, it } from 'vitest';
import { safeOutput } from './terminal.js';

describe('output of a job in a terminal', () => {
  it('keeps colours where there are any', () => {
    expect(safeOutput('\u001b[0;32mok: [web1]\u001b[0m', true)).toBe('\u001b[0;32mok: [web1]\u001b[0m');
  });

  it('has none where there is no terminal', () => {
    expect(safeOutput('\u001b[0;32mok: [web1]\u001b[0m', false)).toBe('ok: [web1]');
  });

  it.each([
    ['sets the title', '\u001b]0;owned\u0007text'],
    ['fills the clipboard', '\u001b]52;c;ZXZpbA==\u0007text'],
    ['links elsewhere', '\u001b]8;;http://evil.invalid\u001b\\text\u001b]8;;\u001b\\'],
    ['moves the cursor up', '\u001b[2Atext'],
    ['clears the screen', '\u001b[2Jtext'],
    ['hides the cursor', '\u001b[?25ltext'],
    ['goes back to the start of the line', 'text'.replace('t', '\u0008t')],
    ['resets the terminal', '\u001bctext'],
  ])('%s never', (_, hostile) => {
    expect(safeOutput(hostile, true)).toBe('text');
  });
});
