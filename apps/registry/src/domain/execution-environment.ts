/**
 * An execution environment: an image that jobs run in, by name. Stream `execution_environment-<id>`.
 *
 *   absent   -register, seed-> living
 *   living   -revise-> living (the next version of its settings)   -note digest-> living   -make default-> living
 *            -remove-> deleted (never of one that is managed, or in use)
 *   deleted  nothing changes any more; a seed does not bring it back
 */
import {
  ExecutionEnvironmentDeleted,
  ExecutionEnvironmentDigestResolved,
  ExecutionEnvironmentImageChanged,
  ExecutionEnvironmentMadeDefault,
  ExecutionEnvironmentRegistered,
  ExecutionEnvironmentRevised,
  type digestSources,
  type eeEvents,
  type pullPolicies,
} from '@gantry/contracts/ee';
import { makeEvent, type EventOf, type NewEvent } from '@gantry/contracts/envelope';
import { PlatformError } from '@gantry/contracts/errors';

/** How an image gets onto the machine. */
export type PullPolicy = (typeof pullPolicies)[number];
/** From whom a digest is known. */
export type DigestSource = (typeof digestSources)[number];

/** What people set. */
export interface Settings {
  name: string;
  description: string;
  /** null = every organization may use it. */
  organizationId: string | null;
  /** In full. */
  image: string;
  /** null = as Kubernetes. */
  pull: PullPolicy | null;
  /** Login of the image's registry; null = none. */
  credentialId: string | null;
}

/** One that is there. */
export interface Living extends Settings {
  managed: boolean;
  /** Counts the changes of its settings. */
  version: number;
  /** What the image was last found to be, and who said so. */
  digest: string | null;
  digestSource: DigestSource | null;
}

/** What is known of one; null before it was registered. */
export type Environment = Living | 'deleted' | null;

/** What was found about an image. */
export interface FoundDigest {
  image: string;
  digest: string;
  source: DigestSource;
  platforms?: string[];
}

type Event = EventOf<(typeof eeEvents)[keyof typeof eeEvents]>;

/** The execution environment after an event. */
export const evolve = (state: Environment, event: Event): Environment => {
  if (event.type === 'execution_environment.registered')
    return {
      ...settingsOf(event.data),
      managed: event.data.managed,
      version: 1,
      digest: null,
      digestSource: null,
    };
  if (state === null || state === 'deleted') return state;
  switch (event.type) {
    case 'execution_environment.revised': {
      const settings = settingsOf(event.data);
      const same = settings.image === state.image;
      return {
        ...state,
        ...settings,
        version: state.version + 1,
        digest: same ? state.digest : null,
        digestSource: same ? state.digestSource : null,
      };
    }
    case 'execution_environment.image_changed': {
      const { image, pull } = event.data;
      return { ...state, image, pull, version: state.version + 1, digest: null, digestSource: null };
    }
    case 'execution_environment.digest_resolved': {
      const { image, digest, source = null } = event.data;
      return image === state.image ? { ...state, digest, digestSource: source } : state;
    }
    case 'execution_environment.made_default':
      return state;
    case 'execution_environment.deleted':
      return 'deleted';
  }
};

const settingsOf = (data: EventOf<typeof ExecutionEnvironmentRevised>['data']): Settings => ({
  name: data.name,
  description: data.description,
  organizationId: data.organizationId ?? null,
  image: data.image,
  pull: data.pull ?? null,
  credentialId: data.credentialId ?? null,
});

/** A new one. */
export const register = (
  id: string,
  settings: Settings & { managed: boolean },
  eventId: string,
): NewEvent[] => [
  makeEvent(ExecutionEnvironmentRegistered, eventId, { executionEnvironmentId: id, ...settings }),
];

/**
 * One that comes with the installation: registered when it was never there; `follow`: its image changes with the installation. One
 * that people deleted stays away.
 */
export const seed = (
  state: Environment,
  id: string,
  settings: Settings & { managed: boolean },
  follow: boolean,
  eventId: string,
): NewEvent[] => {
  if (state === null) return register(id, settings, eventId);
  const { image, pull } = settings;
  if (state === 'deleted' || !follow || (state.image === image && state.pull === pull)) return [];
  return [makeEvent(ExecutionEnvironmentImageChanged, eventId, { executionEnvironmentId: id, image, pull })];
};

/**
 * Other settings; nothing when they are what they were. Throws `not_found`; `conflict` with reason revised when somebody was faster
 * than who expected a version; `refused` with reason managed.
 */
export const revise = (
  state: Environment,
  id: string,
  change: Partial<Settings>,
  expectedVersion: number | null,
  eventId: string,
): NewEvent[] => {
  const before = living(state, id);
  if (expectedVersion !== null && expectedVersion !== before.version) {
    throw new PlatformError(
      'conflict',
      `${before.name} was changed since you read it (version ${before.version}, you had ${expectedVersion}): read it again.`,
      { details: { reason: 'revised', expected: expectedVersion, actual: before.version } },
    );
  }
  const { name, description, organizationId, image, pull, credentialId } = before;
  const settings: Settings = { name, description, organizationId, image, pull, credentialId, ...change };
  const changed = (Object.keys(settings) as (keyof Settings)[]).filter(
    (key) => settings[key] !== before[key],
  );
  const fixed = before.managed
    ? changed.filter((key) => key === 'image' || key === 'name' || key === 'organizationId')
    : [];
  if (fixed.length > 0) {
    throw new PlatformError(
      'refused',
      `${before.name} is managed by Gantry: its ${fixed.map((key) => (key === 'organizationId' ? 'organization' : key)).join(' and ')} cannot be changed. Make an execution environment of your own.`,
      { details: { reason: 'managed', fields: fixed } },
    );
  }
  if (changed.length === 0) return [];
  return [makeEvent(ExecutionEnvironmentRevised, eventId, { executionEnvironmentId: id, ...settings })];
};

/** It goes. Who uses it is asked before. Throws `not_found`; `refused` with reason managed. */
export const remove = (state: Environment, id: string, eventId: string): NewEvent[] => {
  const { name, managed } = living(state, id);
  if (managed) {
    throw new PlatformError('refused', `${name} is managed by Gantry and cannot be deleted.`, {
      details: { reason: 'managed' },
    });
  }
  return [makeEvent(ExecutionEnvironmentDeleted, eventId, { executionEnvironmentId: id, name })];
};

/** The default from here on. Throws `not_found`; `refused` with reason not_global. */
export const makeDefault = (state: Environment, id: string, eventId: string): NewEvent[] => {
  const { name, organizationId } = living(state, id);
  if (organizationId !== null) {
    throw new PlatformError(
      'refused',
      `${name} belongs to one organization: the default of all jobs must be global.`,
      { details: { reason: 'not_global', id } },
    );
  }
  return [makeEvent(ExecutionEnvironmentMadeDefault, eventId, { executionEnvironmentId: id })];
};

/**
 * What the image was found to be; nothing when that is known, when the image is another by now, or when an engine says so of an image
 * whose registry has told (an engine may know a part of it by another digest). Throws `not_found`.
 */
export const noteDigest = (
  state: Environment,
  id: string,
  { image, digest, source, platforms }: FoundDigest,
  eventId: string,
): NewEvent[] => {
  const now = living(state, id);
  if (image !== now.image || digest === now.digest) return [];
  const told = now.digest !== null && now.digestSource !== 'engine' && now.pull !== 'never';
  if (source === 'engine' && told) return [];
  return [
    makeEvent(ExecutionEnvironmentDigestResolved, eventId, {
      executionEnvironmentId: id,
      image,
      digest,
      source,
      ...(platforms && { platforms }),
    }),
  ];
};

/** The one that is there. Throws `not_found`. */
export const living = (state: Environment, id: string): Living => {
  if (state === null || state === 'deleted') throw noSuchEnvironment(id);
  return state;
};

/** `not_found`, for one that is not there or not theirs to see. */
export const noSuchEnvironment = (id: string): PlatformError =>
  new PlatformError('not_found', `There is no execution environment ${id}, or it is not yours to see.`, {
    details: { id },
  });
