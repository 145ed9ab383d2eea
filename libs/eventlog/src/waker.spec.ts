import { describe, expect, it } from 'vitest';
import { createWaker } from './waker.js';

const forEver = 2 ** 30;

describe('a wait', () => {
  it('ends with the next wake-up, for everybody', async () => {
    const waker = createWaker();
    const waits = [waker.nextWake({ timeoutMs: forEver }), waker.nextWake({ timeoutMs: forEver })];
    waker.wake();
    expect(await Promise.all(waits)).toEqual([true, true]);
  });

  it('does not sleep through a wake-up that came before it, during the look', async () => {
    const waker = createWaker();
    const since = waker.count();
    waker.wake();
    expect(await waker.nextWake({ since, timeoutMs: forEver })).toBe(true);
  });

  it('ends by itself, and when told to', async () => {
    const waker = createWaker();
    expect(await waker.nextWake({ timeoutMs: 0 })).toBe(false);
    const controller = new AbortController();
    const wait = waker.nextWake({ signal: controller.signal, timeoutMs: forEver });
    controller.abort();
    expect(await wait).toBe(false);
    expect(await waker.nextWake({ signal: controller.signal, timeoutMs: forEver })).toBe(false);
  });
});
