import { describe, expect, it } from 'vitest';
import { compareListings } from './inventory-difference.js';
import { inventoryListing } from './inventory-listing.js';

const listing = (
  hosts: Record<string, object>,
  groups: Record<string, string[]> = {},
  groupVariables: Record<string, unknown> = {},
) =>
  JSON.parse(
    inventoryListing({
      variables: {},
      hosts: Object.entries(hosts).map(([name, variables]) => ({ name, variables: { ...variables } })),
      groups: Object.entries(groups).map(([name, members]) => ({
        name,
        variables: groupVariables,
        hosts: members,
        children: [],
      })),
    }),
  ) as Parameters<typeof compareListings>[0];
const none = { total: 0, names: [] };

describe('two inventories', () => {
  it('are the same when only the order differs', () => {
    expect(
      compareListings(listing({ a: { x: 1, y: 2 }, b: {} }), listing({ b: {}, a: { y: 2, x: 1 } })),
    ).toEqual({
      added: none,
      removed: none,
      changed: none,
      groupsChanged: false,
    });
  });

  it('tell hosts that came, went, have other variables or stand in other groups', () => {
    const from = listing({ a: { x: 1 }, b: {}, c: {}, d: {} }, { web: ['b'] });
    const to = listing({ a: { x: 2 }, b: {}, d: {}, e: {} }, { web: ['d'] });
    expect(compareListings(from, to)).toEqual({
      added: { total: 1, names: ['e'] },
      removed: { total: 1, names: ['c'] },
      changed: { total: 3, names: ['a', 'b', 'd'] },
      groupsChanged: false,
    });
  });

  it('tell of groups with other variables, and name only a few hosts', () => {
    const many = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`h${index + 10}`, {}]));
    const told = compareListings(listing({}, { web: [] }), listing(many, { web: [] }, { port: 80 }));
    expect(told).toMatchObject({ added: { total: 30 }, groupsChanged: true });
    expect(told.added.names).toHaveLength(5);
  });
});
