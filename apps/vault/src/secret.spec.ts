import { inspect } from 'node:util';
import { serialize } from 'node:v8';
import { describe, expect, it } from 'vitest';
import { Secret } from './secret.js';

const canary = 'canary-8c1f';

describe('a secret', () => {
  it('tells its text when asked for it', () => expect(new Secret(canary).reveal()).toBe(canary));

  it('tells it in no other way', () => {
    const secret = new Secret(canary);
    const seen = [
      `${secret}`,
      String(secret),
      '' + (secret as unknown as string),
      JSON.stringify({ secret }),
      JSON.stringify({ ...secret }),
      inspect({ secret }, { showHidden: true, depth: 9 }),
      serialize({ ...secret }).toString('latin1'),
      Object.entries(secret).join(),
      new Error(`failed with ${secret}`).stack,
    ].join('\n');
    expect(seen).not.toContain(canary);
    expect(seen).toContain('[secret]');
  });
});
