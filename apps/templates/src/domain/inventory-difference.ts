/** How two inventories differ, as listings say them (`inventory-listing.ts`). */
import { sortedJson } from './variables.js';

/** What is read of a listing. */
export type Listing = Record<string, unknown> & { _meta?: { hostvars?: Record<string, unknown> } };

/** Hosts by what happened to them, each with a few names, and whether a group's own variables or children differ. */
export interface InventoryDifference {
  added: HostCount;
  removed: HostCount;
  /** Other variables of its own, or directly in other groups. */
  changed: HostCount;
  groupsChanged: boolean;
}
interface HostCount {
  total: number;
  names: string[];
}

const mostNames = 5;

/** From one listing to another. */
export const compareListings = (from: Listing, to: Listing): InventoryDifference => {
  const [before, after] = [hostsOf(from), hostsOf(to)];
  const names = [...after.keys()];
  return {
    added: count(names.filter((name) => !before.has(name))),
    removed: count([...before.keys()].filter((name) => !after.has(name))),
    changed: count(names.filter((name) => before.has(name) && before.get(name) !== after.get(name))),
    groupsChanged: sortedJson(groupsOf(from)) !== sortedJson(groupsOf(to)),
  };
};

const count = (names: string[]): HostCount => ({ total: names.length, names: names.slice(0, mostNames) });

interface Section {
  hosts?: string[];
  children?: string[];
  vars?: unknown;
}
const sectionsOf = ({ _meta, ...sections }: Listing): [string, Section][] =>
  Object.entries(sections) as [string, Section][];

/** Each host as one text: its variables and the groups it stands in. */
const hostsOf = (listing: Listing): Map<string, string> => {
  const groups = new Map<string, string[]>();
  for (const [group, { hosts }] of sectionsOf(listing))
    for (const host of hosts ?? []) groups.set(host, [...(groups.get(host) ?? []), group]);
  return new Map(
    Object.entries(listing._meta?.hostvars ?? {}).map(([name, variables]) => [
      name,
      sortedJson([variables, (groups.get(name) ?? []).sort()]),
    ]),
  );
};

const groupsOf = (listing: Listing): Record<string, unknown> =>
  Object.fromEntries(sectionsOf(listing).map(([name, { children, vars }]) => [name, { children, vars }]));
