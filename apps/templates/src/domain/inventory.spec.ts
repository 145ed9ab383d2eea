import { describe, expect, it } from 'vitest';
import { inventoryListing } from './inventory-listing.js';
import { create, type Group, type Host } from './inventory.js';

const settings = { inventoryId: 'i', name: 'Demo', description: '', organizationId: 'o', variables: {} };
const host = (name: string, variables = {}): Host => ({ name, variables, enabled: true });
const group = (name: string, hosts: string[] = [], children: string[] = [], variables = {}): Group => ({
  name,
  variables,
  hosts,
  children,
});

describe('a new inventory', () => {
  it('says its hosts and groups', () => {
    const events = create({ settings, hosts: [host('web1')], groups: [group('web', ['web1'])] });
    expect(events.map(({ type }) => type)).toEqual([
      'inventory.created',
      'inventory.hosts_added',
      'inventory.groups_added',
    ]);
  });

  it('of 60,000 hosts is told in events that fit into messages', () => {
    const hosts = Array.from({ length: 60_000 }, (_, index) => host(`host${index}.example.com`, { index }));
    const names = hosts.map(({ name }) => name);
    const events = create({ settings, hosts, groups: [group('everything', names, [], { a: 1 })] });
    expect(Math.max(...events.map(({ data }) => JSON.stringify(data).length))).toBeLessThan(400_000);
    expect(
      events.flatMap((event) => (event.type === 'inventory.hosts_added' ? event.data.hosts : [])),
    ).toEqual(hosts);
    expect(
      events.flatMap((event) =>
        event.type === 'inventory.groups_added' ? event.data.groups.flatMap((part) => part.hosts) : [],
      ),
    ).toEqual(names);
  });

  it.each([
    ['a host named twice', [host('a'), host('a')], [], 'The host a is named twice.'],
    ['a group named twice', [], [group('g'), group('g')], 'The group g is named twice.'],
    ['an unknown host in a group', [], [group('g', ['x'])], 'has the host x, which is not among the hosts'],
    ['an unknown child', [], [group('g', [], ['x'])], 'has the child x, which is not among the groups'],
    ['a group called all', [], [group('all')], 'No group may be called all'],
    [
      'a group below itself',
      [],
      [group('a', [], ['b']), group('b', [], ['c']), group('c', [], ['a'])],
      'The group a is its own descendant: a > b > c > a.',
    ],
  ])('refuses %s', (_, hosts, groups, message) => {
    expect(() => create({ settings, hosts, groups })).toThrow(message);
  });

  it('may share a child between groups', () => {
    create({ settings, hosts: [], groups: [group('a', [], ['c']), group('b', [], ['c', 'a']), group('c')] });
  });
});

describe('an inventory listing', () => {
  it('is what an inventory script gives Ansible', () => {
    const text = inventoryListing({
      variables: { region: 'eu' },
      hosts: [
        { name: 'db1', variables: {} },
        { name: 'lone', variables: { z: 1, a: 2 } },
        { name: 'web1', variables: {} },
      ],
      groups: [
        group('db', ['db1']),
        group('site', [], ['web', 'db']),
        group('web', ['web1', 'disabled'], [], { port: 80 }),
      ],
    });
    expect(JSON.parse(text)).toEqual({
      _meta: { hostvars: { db1: {}, lone: { a: 2, z: 1 }, web1: {} } },
      all: { children: ['site', 'ungrouped'], vars: { region: 'eu' } },
      ungrouped: { hosts: ['lone'] },
      db: { hosts: ['db1'] },
      site: { children: ['db', 'web'] },
      web: { hosts: ['web1'], vars: { port: 80 } },
    });
    expect(text).toContain('{"a":2,"z":1}');
  });

  it('gives a group with nothing in it no host of its name', () => {
    const listing = JSON.parse(
      inventoryListing({ variables: {}, hosts: [], groups: [group('empty', [])] }),
    ) as object;
    expect(listing).toMatchObject({ ungrouped: { hosts: [] }, empty: { hosts: [] } });
  });
});
