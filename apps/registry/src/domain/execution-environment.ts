/** An execution environment: an image that jobs run in, by name. Stream `execution_environment-<id>`. */
import {
  ExecutionEnvironmentDigestResolved,
  ExecutionEnvironmentImageChanged,
  ExecutionEnvironmentMadeDefault,
  ExecutionEnvironmentRegistered,
  type eeEvents,
  type pullPolicies,
} from '@gantry/contracts/ee';
import { makeEvent, type EventOf, type NewEvent } from '@gantry/contracts/envelope';
import { PlatformError } from '@gantry/contracts/errors';

/** How an image gets onto the machine. */
export type PullPolicy = (typeof pullPolicies)[number];

/** What an execution environment is made of. */
export interface Settings {
  name: string;
  description: string;
  /** null = every organization may use it. */
  organizationId: string | null;
  image: string;
  /** null = as Kubernetes. */
  pull: PullPolicy | null;
  managed: boolean;
}

/** What is known of one; null before it was registered. */
export type Environment = (Settings & { digest: string | null }) | null;

type Event = EventOf<(typeof eeEvents)[keyof typeof eeEvents]>;

/** The execution environment after an event. */
export const evolve = (state: Environment, event: Event): Environment => {
  if (event.type === 'execution_environment.registered') {
    const { name, description, organizationId, image, pull, managed } = event.data;
    return {
      name,
      description,
      image,
      managed,
      organizationId: organizationId ?? null,
      pull: pull ?? null,
      digest: null,
    };
  }
  if (state === null) return null;
  switch (event.type) {
    case 'execution_environment.digest_resolved':
      return event.data.image === state.image ? { ...state, digest: event.data.digest } : state;
    case 'execution_environment.image_changed':
      return { ...state, image: event.data.image, pull: event.data.pull, digest: null };
    case 'execution_environment.made_default':
      return state;
  }
};

/** A new one. */
export const register = (id: string, settings: Settings, eventId: string): NewEvent[] => [
  makeEvent(ExecutionEnvironmentRegistered, eventId, { executionEnvironmentId: id, ...settings }),
];

/** One that comes with the installation: registered when it is not there; `follow`: its image changes with the installation. */
export const seed = (
  state: Environment,
  id: string,
  settings: Settings,
  follow: boolean,
  eventId: string,
): NewEvent[] => {
  if (state === null) return register(id, settings, eventId);
  const { image, pull } = settings;
  if (!follow || (state.image === image && state.pull === pull)) return [];
  return [makeEvent(ExecutionEnvironmentImageChanged, eventId, { executionEnvironmentId: id, image, pull })];
};

/** The default from here on. Throws `not_found`. */
export const makeDefault = (state: Environment, id: string, eventId: string): NewEvent[] => {
  if (state === null) throw noSuchEnvironment(id);
  if (state.organizationId !== null) {
    throw new PlatformError(
      'refused',
      `${state.name} belongs to one organization: the default of all jobs must be global.`,
      {
        details: { reason: 'not_global', id },
      },
    );
  }
  return [makeEvent(ExecutionEnvironmentMadeDefault, eventId, { executionEnvironmentId: id })];
};

/** What the image was found to be; nothing when that is known, or when the image is another by now. Throws `not_found`. */
export const noteDigest = (
  state: Environment,
  id: string,
  found: { image: string; digest: string },
  eventId: string,
): NewEvent[] => {
  if (state === null) throw noSuchEnvironment(id);
  if (found.image !== state.image || found.digest === state.digest) return [];
  return [makeEvent(ExecutionEnvironmentDigestResolved, eventId, { executionEnvironmentId: id, ...found })];
};

/** `not_found`, for one that is not there or not theirs to see. */
export const noSuchEnvironment = (id: string): PlatformError =>
  new PlatformError('not_found', `There is no execution environment ${id}, or it is not yours to see.`, {
    details: { id },
  });
