import { describe, expect, it } from 'vitest';
import { joinSignals } from './signals.js';

const fired = (signal: AbortSignal): Promise<boolean> =>
  new Promise((resolve) =>
    signal.aborted ? resolve(true) : signal.addEventListener('abort', () => resolve(true), { once: true }),
  );

describe('joined signals', () => {
  it('fire with any of them', async () => {
    const [one, two] = [new AbortController(), new AbortController()];
    const joined = joinSignals([one.signal, two.signal]);
    two.abort();
    expect(await fired(joined.signal)).toBe(true);
  });

  it('fire at once when one has fired already', () => {
    expect(joinSignals([AbortSignal.abort()]).signal.aborted).toBe(true);
  });

  it('fire after their time, whatever the garbage collector does', async () => {
    const waiting = fired(joinSignals([new AbortController().signal], 20).signal);
    (globalThis as { gc?: () => void }).gc?.();
    expect(await waiting).toBe(true);
  });

  it('do not fire once released', () => {
    const one = new AbortController();
    const joined = joinSignals([one.signal], 1);
    joined.release();
    one.abort();
    expect(joined.signal.aborted).toBe(false);
  });
});
