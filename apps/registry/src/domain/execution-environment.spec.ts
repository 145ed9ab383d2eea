import type { eeEvents } from '@gantry/contracts/ee';
import type { EventOf, NewEvent } from '@gantry/contracts/envelope';
import { givenFor } from '@gantry/testkit/given';
import { describe, it } from 'vitest';
import {
  evolve,
  makeDefault,
  noteDigest,
  remove,
  revise,
  seed,
  type DigestSource,
  type Environment,
  type Settings,
} from './execution-environment.js';

type Event = EventOf<(typeof eeEvents)[keyof typeof eeEvents]>;
type Command =
  | { seed: Settings & { managed: boolean }; follow?: boolean }
  | { digest: string; image: string; source?: DigestSource }
  | { change: Partial<Settings>; expected?: number }
  | 'make default'
  | 'remove';

const id = '0b9e6a4e-5d0b-4c56-9b0d-0d6a3a3f0001';
const organizationId = '0b9e6a4e-5d0b-4c56-9b0d-0d6a3a3f0002';
const own: Settings = {
  name: 'EE',
  description: '',
  organizationId: null,
  image: 'localhost/ee:1',
  pull: 'never',
  credentialId: null,
};
const settings = { ...own, managed: false };
const event = (type: string, data: object): Event =>
  ({
    type: `execution_environment.${type}`,
    version: 1,
    data: { executionEnvironmentId: id, ...data },
  }) as Event;
const registered = event('registered', settings);
const revised = (change: Partial<Settings>) => event('revised', { ...own, ...change });
const deleted = event('deleted', { name: 'EE' });
const resolved = (image: string, digest: string, source: DigestSource = 'launch') =>
  event('digest_resolved', { image, digest, source });

const decide = (state: Environment, command: Command): Event[] => {
  const events = (): NewEvent[] => {
    if (command === 'make default') return makeDefault(state, id, id);
    if (command === 'remove') return remove(state, id, id);
    if ('seed' in command) return seed(state, id, command.seed, command.follow ?? false, id);
    if ('change' in command) return revise(state, id, command.change, command.expected ?? null, id);
    return noteDigest(state, id, { source: 'launch', ...command }, id);
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
  it('that people deleted stays away', () => {
    given([registered, deleted]).when({ seed: moved, follow: true }).thenNothing();
  });
});

describe('a change', () => {
  it('has all settings, and is none when they are what they were', () => {
    given([registered])
      .when({ change: { description: 'new', credentialId: organizationId } })
      .then([revised({ description: 'new', credentialId: organizationId })]);
    given([registered])
      .when({ change: { ...own } })
      .thenNothing();
    given([])
      .when({ change: { description: 'new' } })
      .thenThrows('not_found');
    given([registered, deleted])
      .when({ change: { description: 'new' } })
      .thenThrows('not_found');
  });
  it('is refused to who has read an older version', () => {
    const history = [registered, revised({ description: 'by another' })];
    given(history)
      .when({ change: { name: 'mine' }, expected: 1 })
      .thenThrows('conflict', 'revised');
    given(history)
      .when({ change: { name: 'mine' }, expected: 2 })
      .then([revised({ description: 'by another', name: 'mine' })]);
  });
  it('is counted by people alone: what an image means is no change', () => {
    given([registered, resolved(own.image, 'sha256:1')])
      .when({ change: { name: 'mine' }, expected: 1 })
      .then([revised({ name: 'mine' })]);
  });
  it('of one that is managed leaves name, image and organization', () => {
    const managed = event('registered', { ...own, managed: true });
    for (const change of [{ name: 'mine' }, { image: 'localhost/mine:1' }, { organizationId }])
      given([managed]).when({ change }).thenThrows('refused', 'managed');
    given([managed])
      .when({ change: { pull: 'always' } })
      .then([revised({ pull: 'always' })]);
  });
});

describe('a deletion', () => {
  it('is final', () => {
    given([registered]).when('remove').then([deleted]);
    given([registered, deleted]).when('remove').thenThrows('not_found');
    given([registered, deleted]).when({ image: own.image, digest: 'sha256:1' }).thenThrows('not_found');
  });
  it('is not for one that is managed', () => {
    given([event('registered', { ...own, managed: true })])
      .when('remove')
      .thenThrows('refused', 'managed');
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
  it('means nothing any more after a change of the image, and stays after any other', () => {
    const before = [registered, resolved(own.image, 'sha256:1')];
    given([...before, revised({ image: 'localhost/ee:2' })])
      .when({ image: 'localhost/ee:2', digest: 'sha256:1' })
      .then([resolved('localhost/ee:2', 'sha256:1')]);
    given([...before, revised({ name: 'other' })])
      .when({ image: own.image, digest: 'sha256:1' })
      .thenNothing();
  });
  it('is what the registry says, whatever an engine calls its own part of it', () => {
    const pulled = { ...settings, pull: null };
    const history = [event('registered', pulled), resolved(own.image, 'sha256:1', 'schedule')];
    given(history).when({ image: own.image, digest: 'sha256:2', source: 'engine' }).thenNothing();
    given(history)
      .when({ image: own.image, digest: 'sha256:2' })
      .then([resolved(own.image, 'sha256:2')]);
  });
  it('is what the engine says where no registry does', () => {
    given([registered, resolved(own.image, 'sha256:1', 'engine')])
      .when({ image: own.image, digest: 'sha256:2', source: 'engine' })
      .then([resolved(own.image, 'sha256:2', 'engine')]);
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
