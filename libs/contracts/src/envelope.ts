/**
 * How an event is declared, written and read. One value per event type is its name, version, schema and
 * upcasts; everything else is derived from it (docs/adr/0003).
 */
import { z } from 'zod';
import { PlatformError } from './errors.js';

/** An event type: name in the past tense (`job.finished`), integer version, schema of its data, upcasts from every older version. */
export interface EventSpec<
  T extends string = string,
  V extends number = number,
  D extends z.ZodObject = z.ZodObject,
> {
  type: T;
  version: V;
  data: D;
  /** From version n to n+1, by n. */
  upcast: Record<number, (old: never) => unknown>;
}

/** Declares an event type. Throws when an older version has no upcast. */
export const event = <const T extends string, const V extends number, D extends z.ZodObject>(
  type: T,
  version: V,
  data: D,
  upcast: Record<number, (old: never) => unknown> = {},
): EventSpec<T, V, D> => {
  for (let n = 1; n < version; n++) if (!upcast[n]) throw new Error(`${type}: no upcast from v${n}`);
  return { type, version, data, upcast };
};

/** The event value that a spec describes: a discriminated union member when used over a union of specs. */
export type EventOf<S extends EventSpec> =
  S extends EventSpec<infer T, infer V, infer D> ? { type: T; version: V; data: z.output<D> } : never;

/** Who did it. `system` is Gantry itself (a schedule, a reaction); `pod` is a job's agent. */
export const Actor = z.object({
  kind: z.enum(['user', 'system', 'pod']),
  id: z.string(),
  name: z.string(),
});
/** Who did it. */
export type Actor = z.output<typeof Actor>;

/** What is told of an event besides its data. */
export const Meta = z.object({
  actor: Actor,
  /** The same for everything that follows from one request. */
  correlationId: z.string(),
  /** Id of the event or command that led to this one. */
  causationId: z.string().optional(),
  /** W3C trace context. */
  traceparent: z.string().optional(),
});
/** What is told of an event besides its data. */
export type Meta = z.output<typeof Meta>;

/** An event about to be appended. `id` is a UUID chosen by the writer: the same id again is the same event. */
export interface NewEvent {
  id: string;
  type: string;
  /** Version of the schema of `data`. */
  version: number;
  data: unknown;
}

/** An event as the log keeps it. */
export interface StoredEvent extends NewEvent {
  stream: string;
  /** 1, 2, 3... within the stream. */
  streamVersion: number;
  /** Position in the service's log; ordered only together with `transactionId` (docs/adr/0003). */
  position: string;
  transactionId: string;
  meta: Meta;
  /** ISO 8601, the database's clock. */
  at: string;
  /** Hex SHA-256 of the previous event's hash and this event: a chain per stream. */
  hash: string;
}

/** An event on the bus: what `gantry.evt.>` carries as JSON. */
export const EventEnvelope = z.object({
  id: z.uuid(),
  type: z.string(),
  version: z.number().int(),
  stream: z.string(),
  streamVersion: z.number().int(),
  position: z.string(),
  transactionId: z.string(),
  at: z.string(),
  meta: Meta,
  data: z.unknown(),
});
/** An event on the bus. */
export type EventEnvelope = z.output<typeof EventEnvelope>;

/**
 * Builds an event to append; refuses data that does not fit the schema, unknown keys included.
 * Throws `invalid` (a bug of the caller: commands are checked before).
 */
export const makeEvent = <S extends EventSpec>(
  spec: S,
  id: string,
  data: z.input<S['data']>,
): NewEvent & EventOf<S> => {
  const parsed = spec.data.strict().safeParse(data);
  if (!parsed.success) {
    throw new PlatformError('invalid', `${spec.type}: ${z.prettifyError(parsed.error)}`, {
      cause: parsed.error,
    });
  }
  return { id, type: spec.type, version: spec.version, data: parsed.data } as NewEvent & EventOf<S>;
};

/**
 * Reads an event by a catalogue: old versions are upcast, unknown keys dropped. `null` for a type the catalogue does not
 * hold (somebody else's). Throws `unavailable` with reason `unknown_event` for a version newer than this build knows:
 * the reader must stop, never skip.
 */
export const parseEvent = <S extends EventSpec>(
  catalogue: Record<string, S>,
  raw: { type: string; version: number; data: unknown },
): EventOf<S> | null => {
  const spec = specsByType(catalogue).get(raw.type) as S | undefined;
  if (!spec) return null;
  if (raw.version > spec.version) {
    throw new PlatformError(
      'unavailable',
      `${raw.type} v${raw.version} is newer than this build knows (v${spec.version}): upgrade this service.`,
      {
        details: { reason: 'unknown_event', type: raw.type, version: raw.version },
      },
    );
  }
  let data: unknown = raw.data;
  for (let n = raw.version; n < spec.version; n++) data = spec.upcast[n]!(data as never);
  return { type: spec.type, version: spec.version, data: spec.data.parse(data) } as EventOf<S>;
};

const maps = new WeakMap<object, Map<string, EventSpec>>();
const specsByType = (catalogue: Record<string, EventSpec>): Map<string, EventSpec> => {
  let map = maps.get(catalogue);
  if (!map) maps.set(catalogue, (map = new Map(Object.values(catalogue).map((spec) => [spec.type, spec]))));
  return map;
};
