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
    await Promise.all([sessions.by('token')(), sessions.by('token')()]);
    expect(call).toHaveBeenCalledTimes(1);
  });

  it('ask again after a refusal: it is not remembered', async () => {
    const call = vi
      .fn()
      .mockRejectedValueOnce(new PlatformError('unauthenticated', 'no'))
      .mockResolvedValueOnce(verified);
    const sessions = createSessions({ call: call as never });
    await expect(sessions.by('token')()).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(sessions.by('token')()).resolves.toMatchObject({ assertion: 'signed' });
  });

  it('tell how to get a token when there is none', async () => {
    await expect(createSessions({ call: vi.fn() as never }).by(null)()).rejects.toMatchObject({
      code: 'unauthenticated',
    });
  });

  it('ask again at once when they are told to forget', async () => {
    const call = vi.fn(async () => verified);
    const sessions = createSessions({ call: call as never });
    const session = sessions.by('token');
    const first = await session();
    expect(await session()).toBe(first);
    sessions.forget();
    expect(await session()).not.toBe(first);
  });

  it('end with their token, not later', async () => {
    const call = vi.fn(async () => ({ ...verified, tokenExpiresAt: new Date(Date.now() - 1).toISOString() }));
    const session = createSessions({ call: call as never }).by('token');
    await session();
    await session();
    expect(call).toHaveBeenCalledTimes(2);
  });
});
