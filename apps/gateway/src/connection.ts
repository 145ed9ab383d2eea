/** Relay connections out of the services' pages. */
import type { PageOf } from '@gantry/contracts/command';

/** A Relay connection. */
export const connectionOf = <T>(page: PageOf<T>) => ({
  edges: page.items,
  nodes: page.items.map((item) => item.node),
  pageInfo: { hasNextPage: page.hasNextPage, endCursor: page.items.at(-1)?.cursor ?? null },
  totalCount: page.totalCount,
});

/** `first`, `after` of a connection field as a page request; a `first` out of bounds is the owner's to refuse. */
export const pageOf = (args: { first?: number | null; after?: string | null }) => ({
  first: args.first ?? 50,
  after: args.after ?? null,
});

/** `snake_case` of the services as an UPPER_SNAKE enum value. */
export const toEnum = (value: string): string => value.replace(/([a-z])([A-Z])/g, '$1_$2').toUpperCase();

/** An UPPER_SNAKE enum value in lower case, as the services say it. */
export const fromEnum = <T extends string>(value: string): T => value.toLowerCase() as T;

/** An UPPER_SNAKE enum value in camelCase. */
export const camelFromEnum = <T extends string>(value: string): T =>
  value.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()) as T;
