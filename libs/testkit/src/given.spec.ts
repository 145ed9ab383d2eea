import { PlatformError } from '@gantry/contracts/errors';
import { describe, expect, it } from 'vitest';
import { givenFor } from './given.js';

interface Event {
  type: 'opened' | 'closed';
}
const given = givenFor<{ open: boolean }, 'open' | 'close' | 'break', Event>({
  initial: { open: false },
  decide: (state, command) => {
    if (command === 'break') throw new TypeError('broken');
    if (command === 'open') return state.open ? [] : [{ type: 'opened' }];
    if (!state.open)
      throw new PlatformError('refused', 'The door is closed already.', { details: { reason: 'closed' } });
    return [{ type: 'closed' }];
  },
  evolve: (_state, event) => ({ open: event.type === 'opened' }),
});

describe('given, when, then', () => {
  it('compares the events a command leads to', () => {
    given([])
      .when('open')
      .then([{ type: 'opened' }]);
    given([{ type: 'opened' }])
      .when('open')
      .thenNothing();
    expect(() =>
      given([])
        .when('open')
        .then([{ type: 'closed' }]),
    ).toThrow();
    expect(() => given([]).when('open').thenNothing()).toThrow();
  });

  it('compares code and reason of a refusal', () => {
    expect(given([]).when('close').thenThrows('refused', 'closed')).toBe('The door is closed already.');
    expect(() => given([]).when('close').thenThrows('refused', 'other')).toThrow();
    expect(() => given([]).when('close').thenThrows('invalid')).toThrow();
    expect(() => given([]).when('open').thenThrows('refused')).toThrow(/expected a refusal/);
  });

  it('lets a bug through as it is', () => {
    expect(() => given([]).when('break').thenThrows('refused')).toThrow(TypeError);
  });

  it('shows the state before and after', () => {
    expect(given([]).state()).toEqual({ open: false });
    expect(given([]).when('open').state()).toEqual({ open: true });
  });
});
