import type { EventOf, NewEvent } from '@gantry/contracts/envelope';
import type { ImageContents, imageEvents } from '@gantry/contracts/image';
import type { Reason } from '@gantry/contracts/job';
import { givenFor } from '@gantry/testkit/given';
import { describe, expect, it } from 'vitest';
import { emptyContents } from '../testing/contents.js';
import { evolve, inspect, noteContents, noteFailure, see, type ImageState } from './image.js';

type Event = EventOf<(typeof imageEvents)[keyof typeof imageEvents]>;
type Command =
  | { see: string; onEngine: boolean; at?: string }
  | { inspectAt: string }
  | { contents: ImageContents }
  | { failure: Reason };

const digest = `sha256:${'1'.repeat(64)}`;
const [id, other] = ['0b9e6a4e-5d0b-4c56-9b0d-0d6a3a3f0001', '0b9e6a4e-5d0b-4c56-9b0d-0d6a3a3f0002'];
const image = 'localhost/ee:1';
const early = '2026-11-28T10:00:00.000Z';
const soon = '2026-11-28T10:05:00.000Z';
const late = '2026-11-28T10:15:00.000Z';
const reason = (code: string): Reason => ({ code, message: 'x' });

const event = (type: string, data: object): Event =>
  ({ type: `image.${type}`, version: 1, data: { digest, ...data } }) as Event;
const seen = (executionEnvironmentId: string, onEngine: boolean) =>
  event('seen', { executionEnvironmentId, image, onEngine });
const requested = (cause: 'first_sight' | 'person', requestedAt = early) =>
  event('inspection_requested', { image, cause, requestedAt });
const inspected = event('inspected', { contents: emptyContents });
const failed = (code: string) => event('inspection_failed', { reason: reason(code) });

const decide = (state: ImageState, command: Command): Event[] => {
  const events = (): NewEvent[] => {
    if ('see' in command) {
      const sighting = { digest, executionEnvironmentId: command.see, image, onEngine: command.onEngine };
      return see(state, sighting, { now: command.at ?? early, ids: [id, other] });
    }
    if ('inspectAt' in command) return inspect(state, digest, { now: command.inspectAt, ids: [id, other] });
    if ('contents' in command) return noteContents(state, digest, command.contents, id);
    return noteFailure(state, digest, command.failure, id);
  };
  return events().map(({ type, version, data }) => ({ type, version, data }) as Event);
};
const given = givenFor<ImageState, Command, Event>({ initial: null, evolve, decide });
const onEngine = [seen(id, true), requested('first_sight')];

describe('an image', () => {
  it('that a registry names is known, and nobody looks into it', () => {
    given([])
      .when({ see: id, onEngine: false })
      .then([seen(id, false)]);
    given([seen(id, false)])
      .when({ see: id, onEngine: false })
      .thenNothing();
  });
  it('that an engine has is looked into, once', () => {
    given([]).when({ see: id, onEngine: true }).then(onEngine);
    given([seen(id, false)])
      .when({ see: id, onEngine: true })
      .then(onEngine);
    given(onEngine).when({ see: id, onEngine: true }).thenNothing();
    given([...onEngine, inspected])
      .when({ see: id, onEngine: true })
      .thenNothing();
  });
  it('may be that of several execution environments', () => {
    given([...onEngine, inspected])
      .when({ see: other, onEngine: true })
      .then([seen(other, true)]);
  });
  it('is looked into again when the failure was none of its own, and when nobody answered', () => {
    const again = requested('first_sight', late);
    given([...onEngine, failed('engine_unavailable')])
      .when({ see: id, onEngine: true, at: late })
      .then([again]);
    given([...onEngine, failed('timed_out')])
      .when({ see: id, onEngine: true, at: late })
      .thenNothing();
    given(onEngine).when({ see: id, onEngine: true, at: late }).then([again]);
  });
});

describe('an inspection', () => {
  it('is asked for by a person, unless one is under way', () => {
    given([...onEngine, inspected])
      .when({ inspectAt: soon })
      .then([requested('person', soon)]);
    given([...onEngine, failed('timed_out')])
      .when({ inspectAt: soon })
      .then([requested('person', soon)]);
    given(onEngine).when({ inspectAt: soon }).thenNothing();
    given(onEngine)
      .when({ inspectAt: late })
      .then([requested('person', late)]);
    expect(given([]).when({ inspectAt: soon }).thenThrows('not_found')).toContain(digest);
  });
  it('ends once, with contents or with a reason', () => {
    given(onEngine).when({ contents: emptyContents }).then([inspected]);
    given(onEngine)
      .when({ failure: reason('timed_out') })
      .then([failed('timed_out')]);
    given([...onEngine, inspected])
      .when({ contents: emptyContents })
      .thenNothing();
    given([...onEngine, inspected])
      .when({ failure: reason('timed_out') })
      .thenNothing();
  });
});
