import { PlatformError } from '@gantry/contracts/errors';
import { describe, expect, it, vi } from 'vitest';
import { bearerOf, createSessions } from './session.js';

const verified = {
  principal: { userId: 'u' },
  assertion: 'signed',
  assertionExpiresAt: '',
  tokenExpiresAt: null,
};

describe('the bearer of a header', () => {
  it.each([
    ['Bearer abc', 'abc'],
    ['bearer  abc ', 'abc'],
    ['Basic abc', null],
    ['Bearer', null],
    ['Bearer a b', null],
    [undefined, null],
    [['Bearer abc'], null],
  ])('%j is %j', (header, token) => {
    expect(bearerOf(header)).toBe(token);
  });
});

describe('sessions', () => {
  it('ask identity once for requests that come together', async () => {
    const call = vi.fn(async () => verified);
    const sessions = createSessions({ call: call as never });
    await Promise.all([sessions.of('token'), sessions.of('token')]);
    expect(call).toHaveBeenCalledTimes(1);
  });

  it('ask again after a refusal: it is not remembered', async () => {
    const call = vi
      .fn()
      .mockRejectedValueOnce(new PlatformError('unauthenticated', 'no'))
      .mockResolvedValueOnce(verified);
    const sessions = createSessions({ call: call as never });
    await expect(sessions.of('token')).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(sessions.of('token')).resolves.toMatchObject({ assertion: 'signed' });
  });

  it('tell how to get a token when there is none', async () => {
    await expect(async () => createSessions({ call: vi.fn() as never }).of(null)).rejects.toMatchObject({
      code: 'unauthenticated',
    });
  });
});
