import { describe, expect, it } from 'vitest';
import { eventually } from './eventually.js';

describe('eventually', () => {
  it('returns the first answer that is one, zero and the empty string among them', async () => {
    const answers = [false, null, undefined, 0];
    expect(await eventually(() => answers.shift(), { intervalMs: 0 })).toBe(0);
    expect(await eventually(() => '')).toBe('');
  });

  it('looks again after a failed look', async () => {
    let looks = 0;
    const look = async (): Promise<string> => {
      if ((looks += 1) < 3) throw new Error('not yet');
      return 'there';
    };
    expect(await eventually(look, { intervalMs: 0 })).toBe('there');
  });

  it('gives up with what it waited for and what it saw last', async () => {
    await expect(eventually(() => false, { timeoutMs: 0, what: 'the pod' })).rejects.toThrow(
      /in vain for the pod; last seen: false/,
    );
    const cause = new Error('refused');
    await expect(eventually(() => Promise.reject(cause), { timeoutMs: 0 })).rejects.toMatchObject({
      message: expect.stringContaining('last error: refused') as string,
      cause,
    });
  });
});
