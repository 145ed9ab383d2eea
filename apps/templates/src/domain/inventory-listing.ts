/** An inventory as `ansible-inventory --list` prints one, with variables of groups: what an inventory script gives Ansible. */
import type { Group } from './inventory.js';
import { sortedJson, type Variables } from './variables.js';

export interface ListingSource {
  variables: Variables;
  /** Enabled ones, by name. */
  hosts: readonly { name: string; variables: Variables }[];
  /** By name. */
  groups: readonly Group[];
}

/** The listing as JSON: the same inventory is the same text. Hosts that are not in `hosts` are left out of groups. */
export const inventoryListing = ({ variables, hosts, groups }: ListingSource): string => {
  const known = new Set(hosts.map(({ name }) => name));
  const grouped = new Set(groups.flatMap((group) => group.hosts));
  const childGroups = new Set(groups.flatMap(({ children }) => children));
  const top = groups.map(({ name }) => name).filter((name) => !childGroups.has(name));
  const ungrouped = hosts.map(({ name }) => name).filter((name) => !grouped.has(name));
  const entries: [string, unknown][] = [
    ['all', section([], [...top, 'ungrouped'], variables)],
    ['ungrouped', section(ungrouped, [], {})],
    ...groups.map((group): [string, unknown] => [
      group.name,
      section(
        [...new Set(group.hosts)].filter((host) => known.has(host)),
        [...new Set(group.children)],
        group.variables,
      ),
    ]),
  ];
  const hostVariables = hosts
    .map(({ name, variables: own }) => `${JSON.stringify(name)}:${sortedJson(own)}`)
    .join(',');
  const sections = entries.map(([name, value]) => `${JSON.stringify(name)}:${sortedJson(value)}`).join(',');
  return `{"_meta":{"hostvars":{${hostVariables}}},${sections}}`;
};

/** Of a group with nothing in it Ansible would make a host of its name (the oldest form of a listing): it has at least an empty list of hosts. */
const section = (hosts: string[], children: string[], vars: Variables): Record<string, unknown> => ({
  ...(hosts.length > 0 || (children.length === 0 && Object.keys(vars).length === 0)
    ? { hosts: hosts.sort() }
    : {}),
  ...(children.length > 0 ? { children: children.sort() } : {}),
  ...(Object.keys(vars).length > 0 ? { vars } : {}),
});
