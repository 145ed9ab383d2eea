/** In whose name and on whose behalf something happens, and what its events will say of it. */
import type { Principal } from '@gantry/contracts/access';
import type { ServiceName } from '@gantry/contracts/command';
import type { Actor, Meta } from '@gantry/contracts/envelope';
import { v7 } from 'uuid';
import type { Logger } from './logger.js';

/** Goes along with every command, reaction and loop. */
export interface CallContext {
  /** The person in whose name this is done; never null in the handler of a command with `principal: true`. */
  principal: Principal | null;
  /** Who events will name. */
  actor: Actor;
  correlationId: string;
  causationId?: string;
  /** W3C trace context. */
  traceparent?: string;
  /** Milliseconds since the epoch: nobody waits for the outcome after it. */
  deadline?: number;
  /** Says `correlationId` in every line. */
  logger: Logger;
  /** The principal's assertion, to call others in their name while it is valid (at most 5 minutes). */
  assertion?: string;
  /** What to append events with. */
  meta(): Meta;
}

/** What a context is made of. */
export type ContextSettings = Omit<CallContext, 'meta' | 'correlationId' | 'principal'> & {
  correlationId?: string;
  principal?: Principal | null;
};

/** A context; a correlation id is made when there is none. */
export const createContext = (settings: ContextSettings): CallContext => {
  const correlationId = settings.correlationId ?? newId();
  const { actor, causationId, traceparent } = settings;
  return {
    ...settings,
    principal: settings.principal ?? null,
    correlationId,
    logger: settings.logger.child({ correlationId }),
    meta: () => ({
      actor,
      correlationId,
      ...(causationId === undefined ? {} : { causationId }),
      ...(traceparent === undefined ? {} : { traceparent }),
    }),
  };
};

/** Gantry itself, in the shape of one of its services. */
export const systemActor = (service: ServiceName): Actor => ({ kind: 'system', id: service, name: service });

/** The context of what a service does by itself: loops, seeds, reactions. */
export const systemContext = (
  kit: { config: { service: ServiceName }; logger: Logger },
  settings: { correlationId?: string; causationId?: string; traceparent?: string } = {},
): CallContext => createContext({ ...settings, actor: systemActor(kit.config.service), logger: kit.logger });

/** A new id: a UUID of version 7, sorts by time. */
export const newId = (): string => v7();
