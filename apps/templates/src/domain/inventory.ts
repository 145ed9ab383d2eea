/** An inventory: hosts, groups and variables. Stream `inventory-<id>`; large ones are told in several events, each of which fits into a message. */
import type { EventOf } from '@gantry/contracts/envelope';
import { PlatformError } from '@gantry/contracts/errors';
import type { InventoryCreated, InventoryGroupsAdded, InventoryHostsAdded } from '@gantry/contracts/template';
import { checkVariables } from './variables.js';

type Created = EventOf<typeof InventoryCreated>;
type HostsAdded = EventOf<typeof InventoryHostsAdded>;
type GroupsAdded = EventOf<typeof InventoryGroupsAdded>;
export type InventoryEvent = Created | HostsAdded | GroupsAdded;
export type Host = HostsAdded['data']['hosts'][number];
export type Group = GroupsAdded['data']['groups'][number];
export interface CreateInventoryCommand {
  settings: Created['data'];
  hosts: readonly Host[];
  groups: readonly Group[];
}

/** An event's hosts or groups are about this long at most, as JSON. */
const EVENT_BYTES = 256 * 1024;
const reserved = new Set(['all', 'ungrouped', '_meta']);

/** Events of a new inventory. Throws `invalid`, naming the host or group that is wrong. */
export const create = ({ settings, hosts, groups }: CreateInventoryCommand): InventoryEvent[] => {
  checkVariables(settings.variables, `the inventory ${settings.name}`);
  checkHosts(hosts);
  checkGroups(hosts, groups);
  const inventoryId = settings.inventoryId;
  return [
    { type: 'inventory.created', version: 1, data: settings },
    ...pieces(hosts).map((piece): HostsAdded => ({
      type: 'inventory.hosts_added',
      version: 1,
      data: { inventoryId, hosts: piece },
    })),
    ...pieces(groups.flatMap(splitGroup)).map((piece): GroupsAdded => ({
      type: 'inventory.groups_added',
      version: 1,
      data: { inventoryId, groups: piece },
    })),
  ];
};

const checkHosts = (hosts: readonly Host[]): void => {
  const seen = new Set<string>();
  for (const { name, variables } of hosts) {
    if (seen.has(name)) throw invalid(`The host ${name} is named twice.`, name);
    seen.add(name);
    checkVariables(variables, `host ${name}`);
  }
};

const checkGroups = (hosts: readonly Host[], groups: readonly Group[]): void => {
  const known = new Set(hosts.map(({ name }) => name));
  const byName = new Map<string, Group>();
  for (const group of groups) {
    const { name } = group;
    if (reserved.has(name))
      throw invalid(
        `No group may be called ${name}: Ansible has one of its own. Variables of all hosts belong to the inventory.`,
        name,
      );
    if (byName.has(name)) throw invalid(`The group ${name} is named twice.`, name);
    byName.set(name, group);
    checkVariables(group.variables, `group ${name}`);
  }
  for (const { name, hosts: members, children } of groups) {
    const unknownHost = members.find((host) => !known.has(host));
    if (unknownHost !== undefined)
      throw invalid(
        `The group ${name} has the host ${unknownHost}, which is not among the hosts.`,
        unknownHost,
      );
    const unknownGroup = children.find((child) => !byName.has(child));
    if (unknownGroup !== undefined)
      throw invalid(
        `The group ${name} has the child ${unknownGroup}, which is not among the groups.`,
        unknownGroup,
      );
  }
  checkNoCycle(byName);
};

const checkNoCycle = (groups: ReadonlyMap<string, Group>): void => {
  const done = new Set<string>();
  for (const root of groups.keys()) {
    // Depth first without recursion: a chain may be as long as there are groups.
    const path: { name: string; next: number }[] = [{ name: root, next: 0 }];
    const onPath = new Set([root]);
    while (path.length > 0) {
      const top = path.at(-1)!;
      const child = groups.get(top.name)!.children[top.next++];
      if (child === undefined || done.has(top.name)) {
        done.add(top.name);
        onPath.delete(top.name);
        path.pop();
      } else if (onPath.has(child)) {
        throw invalid(
          `The group ${child} is its own descendant: ${[...onPath].slice(-5).join(' > ')} > ${child}.`,
          child,
        );
      } else {
        path.push({ name: child, next: 0 });
        onPath.add(child);
      }
    }
  }
};

/** Bytes, nearly: what separates is not counted. */
const sizeOf = (value: unknown): number => JSON.stringify(value).length;

const pieces = <T>(items: readonly T[]): T[][] => {
  const result: T[][] = [];
  let bytes = 0;
  for (const item of items) {
    const size = sizeOf(item);
    if (result.length === 0 || bytes + size > EVENT_BYTES) {
      result.push([]);
      bytes = 0;
    }
    result.at(-1)!.push(item);
    bytes += size;
  }
  return result;
};

/** A group with many hosts becomes several of the same name; readers add them up. */
const splitGroup = (group: Group): Group[] => {
  const [first = [], ...more] = pieces(group.hosts);
  return [
    { ...group, hosts: first },
    ...more.map((hosts) => ({ name: group.name, variables: {}, hosts, children: [] })),
  ];
};

const invalid = (message: string, name: string): PlatformError =>
  new PlatformError('invalid', message, { details: { name } });
