import type { eeEvents } from '@gantry/contracts/ee';
import type { EventOf, NewEvent } from '@gantry/contracts/envelope';
import { givenFor } from '@gantry/testkit/given';
import { describe, it } from 'vitest';
import {
  evolve,
  makeDefault,
  noteDigest,
  seed,
  type Environment,
  type Settings,
} from './execution-environment.js';

type Event = EventOf<(typeof eeEvents)[keyof typeof eeEvents]>;
type Command = { seed: Settings; follow?: boolean } | { digest: string; image: string } | 'make default';

const id = '0b9e6a4e-5d0b-4c56-9b0d-0d6a3a3f0001';
const settings: Settings = {
  name: 'EE',
  description: '',
  organizationId: null,
  image: 'localhost/ee:1',
  pull: 'never',
  managed: false,
};
const event = (type: string, data: object): Event =>
  ({
    type: `execution_environment.${type}`,
    version: 1,
    data: { executionEnvironmentId: id, ...data },
  }) as Event;
const registered = event('registered', settings);
const resolved = (image: string, digest: string) => event('digest_resolved', { image, digest });

const decide = (state: Environment, command: Command): Event[] => {
  const events = (): NewEvent[] => {
    if (command === 'make default') return makeDefault(state, id, id);
    if ('seed' in command) return seed(state, id, command.seed, command.follow ?? false, id);
    return noteDigest(state, id, command, id);
  };
  return events().map(({ type, version, data }) => ({ type, version, data }) as Event);
};
const given = givenFor<Environment, Command, Event>({ initial: null, evolve, decide });

describe('a seeded execution environment', () => {
  const moved = { ...settings, image: 'localhost/ee:2' };
  it('is registered once', () => {
    given([]).when({ seed: settings }).then([registered]);
    given([registered]).when({ seed: settings, follow: true }).thenNothing();
  });
  it('follows its image where it is to, and only there', () => {
    given([registered])
      .when({ seed: moved, follow: true })
      .then([event('image_changed', { image: moved.image, pull: 'never' })]);
    given([registered]).when({ seed: moved }).thenNothing();
  });
});

describe('a digest', () => {
  it('is noted when it is new', () => {
    given([registered])
      .when({ image: settings.image, digest: 'sha256:1' })
      .then([resolved(settings.image, 'sha256:1')]);
    given([registered, resolved(settings.image, 'sha256:1')])
      .when({ image: settings.image, digest: 'sha256:1' })
      .thenNothing();
  });
  it('of another image means nothing', () => {
    given([registered]).when({ image: 'localhost/ee:0', digest: 'sha256:1' }).thenNothing();
    const history = [
      registered,
      resolved(settings.image, 'sha256:1'),
      event('image_changed', { image: 'localhost/ee:2', pull: null }),
    ];
    given(history)
      .when({ image: 'localhost/ee:2', digest: 'sha256:1' })
      .then([resolved('localhost/ee:2', 'sha256:1')]);
  });
  it('of nothing is not found', () =>
    void given([]).when({ image: 'x', digest: 'sha256:1' }).thenThrows('not_found'));
});

describe('the default', () => {
  it('is a global execution environment', () => {
    given([registered])
      .when('make default')
      .then([event('made_default', {})]);
    given([event('registered', { ...settings, organizationId: id })])
      .when('make default')
      .thenThrows('refused', 'not_global');
    given([]).when('make default').thenThrows('not_found');
  });
});
