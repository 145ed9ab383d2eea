import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { describePlan, relaunchCommand } from './relaunch.command.js';

describe('the plan of a relaunch', () => {
  it('is a line for each part, without what could steer the terminal', () => {
    const item = { part: 'IMAGE', name: 'ee', edited: false };
    const text = describePlan({
      items: [
        { ...item, status: 'IDENTICAL', message: 'The image.' },
        { ...item, status: 'MISSING', message: 'The inventory \u001b]0;title\u0007 is gone.' },
      ],
    });
    expect(text).not.toContain('\u001b]0');
    expect(stripVTControlCharacters(text).split('\n')[0]).toBe('identical  The image.');
  });

  it('is either exact or current', async () => {
    await expect(relaunchCommand('x', { exact: true, current: true })).rejects.toThrow('say one of them');
  });
});
