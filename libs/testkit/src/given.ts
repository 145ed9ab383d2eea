/** Given / when / then for pure deciders: tests that speak events only. */
import { isPlatformError, type ErrorCode } from '@gantry/contracts/errors';
import { expect } from 'vitest';

/** The pure parts of an aggregate. */
export interface Decider<State, Command, Event> {
  /** State before the first event. */
  initial: State | (() => State);
  /** Events that follow from a command, or a thrown PlatformError. */
  decide: (state: State, command: Command) => readonly Event[];
  /** State after an event. */
  evolve: (state: State, event: Event) => State;
}

/** What is expected of one command. */
export interface Outcome<State, Event> {
  /** Exactly these events, in this order. Without arguments or with an empty list: none. */
  then(events: readonly Event[]): void;
  /** Nothing happens: the command has been carried out before, or has no effect. */
  thenNothing(): void;
  /** A PlatformError of this code; `reason` is compared with its `details.reason`. Returns its sentence. */
  thenThrows(code: ErrorCode, reason?: string): string;
  /** State after the history and the command's events. */
  state(): State;
}

/** A history waiting for its command. */
export interface History<State, Command, Event> {
  when(command: Command): Outcome<State, Event>;
  /** State after the history alone. */
  state(): State;
}

/**
 * The word "given" for one decider: `const given = givenFor({ initial, decide, evolve })`, then
 * `given([jobRequested]).when(cancel).then([jobFinished])`. `decide` is not called before an expectation is stated.
 */
export const givenFor =
  <State, Command, Event>(decider: Decider<State, Command, Event>) =>
  (events: readonly Event[]): History<State, Command, Event> => {
    const { initial, decide, evolve } = decider;
    const fold = (more: readonly Event[]): State =>
      [...events, ...more].reduce(
        evolve,
        typeof initial === 'function' ? (initial as () => State)() : initial,
      );
    return {
      state: () => fold([]),
      when: (command) => {
        const run = (): readonly Event[] => decide(fold([]), command);
        return {
          then: (expected) => expect(run()).toEqual(expected),
          thenNothing: () => expect(run()).toEqual([]),
          thenThrows: (code, reason) => thrownBy(run, code, reason),
          state: () => fold(run()),
        };
      },
    };
  };

const thrownBy = (run: () => unknown, code: ErrorCode, reason: string | undefined): string => {
  let error: unknown;
  try {
    const events = run();
    expect.fail(`expected a refusal (${code}), got ${JSON.stringify(events)}`);
  } catch (thrown) {
    error = thrown;
  }
  if (!isPlatformError(error)) throw error;
  expect({ code: error.code, ...(reason === undefined ? {} : { reason: error.details['reason'] }) }).toEqual({
    code,
    ...(reason === undefined ? {} : { reason }),
  });
  return error.message;
};
