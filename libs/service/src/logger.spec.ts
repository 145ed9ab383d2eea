import { PlatformError } from '@gantry/contracts/errors';
import { describe, expect, it } from 'vitest';
import { pretty } from './logger.js';
import { REDACTED, redact } from './redact.js';

describe('a log line', () => {
  it.each([
    'authorization',
    'Authorization',
    'token',
    'accessToken',
    'password',
    'become_password',
    'secret',
    'clientSecret',
    'key',
    'privateKey',
    'ssh_key',
    'jwe',
    'assertion',
    'seed',
  ])('does not show what is called %s, however deep', (name) => {
    expect(redact({ a: [{ b: { [name]: 'canary' } }] })).toEqual({ a: [{ b: { [name]: REDACTED } }] });
  });

  it('shows what only sounds like it', () => {
    const harmless = { idempotencyKey: 'k', publicKey: {}, tokenId: 't', keyId: 'k' };
    expect(redact(harmless)).toEqual(harmless);
  });

  it('shows an error with code, details and cause, its secrets left out', () => {
    const error = new PlatformError('invalid', 'wrong', {
      details: { password: 'canary', field: 'x' },
      cause: new Error('inner'),
    });
    expect(redact({ err: error })).toMatchObject({
      err: {
        code: 'invalid',
        message: 'wrong',
        details: { password: REDACTED, field: 'x' },
        cause: { message: 'inner' },
      },
    });
  });

  it('ends in things that contain themselves', () => {
    const loop: Record<string, unknown> = {};
    loop['self'] = loop;
    expect(JSON.stringify(redact(loop))).toContain('[deep]');
  });

  it('is readable on a terminal', () => {
    const line = JSON.stringify({
      time: '2026-11-23T10:11:12.345Z',
      level: 'info',
      service: 'vault',
      msg: 'ready',
      http: 'x:1',
    });
    expect(pretty(line)).toBe('10:11:12.345 INFO  vault     ready http=x:1\n');
  });
});
