/** Read model of inventories; hosts and groups by the thousand, hence plain SQL. */
import type { Principal } from '@gantry/contracts/access';
import type { PageOf, ReceivedBy } from '@gantry/contracts/command';
import { parseEvent } from '@gantry/contracts/envelope';
import {
  templateEvents,
  type Inventory,
  type InventoryHost,
  type ListInventories,
  type ListInventoryHosts,
} from '@gantry/contracts/template';
import type { Sql } from '@gantry/eventlog/sql';
import type { ProjectionDefinition } from '@gantry/service/kit';
import { byCreation, readPage } from '@gantry/service/page';
import type { ListingSource } from './domain/inventory-listing.js';
import type { Variables } from './domain/variables.js';
import { visible } from './project.projection.js';

const { InventoryCreated, InventoryHostsAdded, InventoryGroupsAdded } = templateEvents;
const catalogue = { InventoryCreated, InventoryHostsAdded, InventoryGroupsAdded };

/** Tables `inventory`, `inventory_host`, `inventory_group`. */
export const inventoryProjection = (schema: string): ProjectionDefinition => ({
  name: 'inventories',
  tables: ['inventory', 'inventory_host', 'inventory_group'],
  types: Object.values(catalogue).map(({ type }) => type),
  apply: async (stored, sql) => {
    const event = parseEvent(catalogue, stored);
    if (!event) return;
    const { type, data } = event;
    if (type === 'inventory.created') {
      await sql.query(
        `insert into ${schema}.inventory (id, organization_id, name, description, variables, total_hosts, total_groups, version, created_at)
         values ($1, $2, $3, $4, $5, 0, 0, $6, $7)`,
        [
          data.inventoryId,
          data.organizationId,
          data.name,
          data.description,
          JSON.stringify(data.variables),
          stored.streamVersion,
          stored.at,
        ],
      );
    } else if (type === 'inventory.hosts_added') {
      await sql.query(
        `insert into ${schema}.inventory_host (inventory_id, name, variables, enabled)
         select $1, host.name, host.variables, host.enabled from jsonb_to_recordset($2::jsonb) as host(name text, variables jsonb, enabled boolean)`,
        [data.inventoryId, JSON.stringify(data.hosts)],
      );
      await sql.query(
        `update ${schema}.inventory set total_hosts = total_hosts + $2, version = $3 where id = $1`,
        [data.inventoryId, data.hosts.length, stored.streamVersion],
      );
    } else {
      // A large group comes in several parts; see domain/inventory.ts.
      for (const group of data.groups) {
        await sql.query(
          `insert into ${schema}.inventory_group as own (inventory_id, name, variables, hosts, children) values ($1, $2, $3, $4, $5)
           on conflict (inventory_id, name) do update set variables = own.variables || excluded.variables,
             hosts = own.hosts || excluded.hosts, children = own.children || excluded.children`,
          [
            data.inventoryId,
            group.name,
            JSON.stringify(group.variables),
            JSON.stringify(group.hosts),
            JSON.stringify(group.children),
          ],
        );
      }
      await sql.query(
        `update ${schema}.inventory set version = $2, total_groups = (select count(*) from ${schema}.inventory_group where inventory_id = $1) where id = $1`,
        [data.inventoryId, stored.streamVersion],
      );
    }
  },
});

/** Those of organizations that the principal may read. */
export const listInventories = (
  sql: Sql,
  schema: string,
  input: ReceivedBy<typeof ListInventories>,
  principal: Principal,
): Promise<PageOf<Inventory>> =>
  readPage(sql, {
    from: `${schema}.inventory`,
    ...visible(input.ids, principal),
    keys: byCreation,
    request: input,
    node: (row) => ({
      id: row.id,
      name: row.name,
      description: row.description,
      organizationId: row.organization_id,
      variables: row.variables,
      totalHosts: row.total_hosts,
      totalGroups: row.total_groups,
      createdAt: row.created_at.toISOString(),
    }),
  });

/** Hosts by name. The caller has checked that the inventory may be read. */
export const listInventoryHosts = (
  sql: Sql,
  schema: string,
  input: ReceivedBy<typeof ListInventoryHosts>,
): Promise<PageOf<InventoryHost>> =>
  readPage(sql, {
    from: `${schema}.inventory_host`,
    where: ['inventory_id = $1'],
    params: [input.inventoryId],
    keys: [{ column: 'name', type: 'text' }],
    request: input,
    node: (row) => ({
      inventoryId: row.inventory_id,
      name: row.name,
      variables: row.variables,
      enabled: row.enabled,
    }),
  });

/** Everything of an inventory that a job sees, in one order whatever the database's locale. Run it in one snapshot. */
export const readListing = async (sql: Sql, schema: string, inventoryId: string): Promise<ListingSource> => {
  const inventory = await sql.query<{ variables: Variables }>(
    `select variables from ${schema}.inventory where id = $1`,
    [inventoryId],
  );
  const hosts = await sql.query<ListingSource['hosts'][number]>(
    `select name, variables from ${schema}.inventory_host where inventory_id = $1 and enabled order by name`,
    [inventoryId],
  );
  const groups = await sql.query<ListingSource['groups'][number]>(
    `select name, variables, hosts, children from ${schema}.inventory_group where inventory_id = $1 order by name`,
    [inventoryId],
  );
  return { variables: inventory.rows[0]?.variables ?? {}, hosts: hosts.rows, groups: groups.rows };
};
