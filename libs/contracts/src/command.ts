/**
 * How a command or query between services is declared: one value is its name, who may call it, and the shapes both ways.
 * NATS permissions, validation and types are derived from it (docs/adr/0004).
 */
import { z } from 'zod';

/** The services that have a NATS user of their own. */
export const serviceNames = [
  'gateway',
  'identity',
  'templates',
  'registry',
  'vault',
  'launcher',
  'ingest',
] as const;
/** A service. */
export type ServiceName = (typeof serviceNames)[number];

/** A command or query: `<service>.<noun>.<verb>`, answered by that service. */
export interface CommandSpec<I extends z.ZodType = z.ZodType, O extends z.ZodType = z.ZodType> {
  name: string;
  service: ServiceName;
  /** Who may send it; enforced by NATS permissions made from this list. */
  callers: readonly ServiceName[];
  /** True if it carries out a person's wish and needs that person's assertion. */
  principal: boolean;
  input: I;
  output: O;
  /** How long the caller waits for the answer. */
  timeoutMilliseconds: number;
}

/** Declares a command. */
export const command = <I extends z.ZodType, O extends z.ZodType>(
  name: `${ServiceName}.${string}.${string}`,
  spec: {
    callers: readonly ServiceName[];
    input: I;
    output: O;
    principal?: boolean;
    timeoutMilliseconds?: number;
  },
): CommandSpec<I, O> => ({
  name,
  service: name.split('.')[0] as ServiceName,
  callers: spec.callers,
  principal: spec.principal ?? spec.callers.includes('gateway'),
  input: spec.input,
  output: spec.output,
  timeoutMilliseconds: spec.timeoutMilliseconds ?? 10_000,
});

/** What a caller gives. */
export type InputOf<C extends CommandSpec> = z.input<C['input']>;
/** What a handler receives. */
export type ReceivedBy<C extends CommandSpec> = z.output<C['input']>;
/** What a caller gets. */
export type OutputOf<C extends CommandSpec> = z.output<C['output']>;

/** Ids are UUIDs; new ones are version 7, so that they sort by time. */
export const Id = z.uuid();

/** A page request: the first `first` items after the cursor. */
export const PageRequest = z.object({
  first: z.number().int().min(1).max(200).default(50),
  after: z.string().max(200).nullish(),
});
/** A page request. */
export type PageRequest = z.output<typeof PageRequest>;

/** A page of items, each with a cursor of its own. */
export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({
    items: z.array(z.object({ cursor: z.string(), node: item })),
    hasNextPage: z.boolean(),
    totalCount: z.number().int(),
  });
/** A page of items. */
export interface PageOf<T> {
  items: { cursor: string; node: T }[];
  hasNextPage: boolean;
  totalCount: number;
}

/** The answer to a creating command: the id, and whether this call made it or an earlier one with the same idempotency key did. */
export const Created = z.object({ id: Id, created: z.boolean() });

/** Given twice, a creating command is carried out once. Chosen by the client. */
export const IdempotencyKey = z.string().min(1).max(200);

/** What things are called: shown to people, unique where the doc of the field says so. */
export const Name = z
  .string()
  .trim()
  .min(1, 'a name is needed')
  .max(512, 'a name has at most 512 characters')

  .regex(/^[^\u0000-\u001f\u007f]*$/, 'a name has no control characters');
