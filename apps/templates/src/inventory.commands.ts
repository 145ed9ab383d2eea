/** Commands on inventories. */
import { json } from 'node:stream/consumers';
import { can } from '@gantry/contracts/access';
import type { OutputOf, PageOf, ReceivedBy } from '@gantry/contracts/command';
import { PlatformError } from '@gantry/contracts/errors';
import type {
  CompareInventories,
  CreateInventory,
  InventoryHost,
  ListInventoryHosts,
  SnapshotInventory,
  StoredObject,
} from '@gantry/contracts/template';
import { withTransaction } from '@gantry/eventlog/sql';
import type { CallContext } from '@gantry/service/context';
import { once } from '@gantry/service/idempotency';
import type { TemplatesDeps } from './deps.js';
import { compareListings, type Listing } from './domain/inventory-difference.js';
import { inventoryListing } from './domain/inventory-listing.js';
import { create } from './domain/inventory.js';
import { listInventoryHosts, readListing } from './inventory.projection.js';
import { takeStaged } from './inventory.staging.js';
import { claimName } from './name-claim.js';
import { eventNumbering } from './new-events.js';
import { mayCreateIn } from './organization.js';

const CAUGHT_UP_MILLISECONDS = 30_000;

/** An inventory with its hosts and groups, all or nothing. */
export const createInventory = async (
  deps: TemplatesDeps,
  { idempotencyKey: key, hosts, groups, staged, ...settings }: ReceivedBy<typeof CreateInventory>,
  context: CallContext,
): Promise<OutputOf<typeof CreateInventory>> => {
  const principal = context.principal!;
  const { pool, log } = deps;
  await mayCreateIn(deps, settings.organizationId, 'inventories', context);
  const made = await once(
    { pool, log },
    { scope: `inventory.create:${principal.userId}`, key },
    async (sql, id) => {
      const contents = staged
        ? await takeStaged(sql, log.schema, staged, principal.userId)
        : { hosts, groups };
      const events = eventNumbering()(create({ settings: { inventoryId: id, ...settings }, ...contents }));
      await claimName(sql, log.schema, {
        kind: 'inventory',
        organizationId: settings.organizationId,
        name: settings.name,
        id,
      });
      await log.appendIn(sql, `inventory-${id}`, 0, events, context.meta());
    },
  );
  // Of many hosts, queries show the last ones seconds later; whoever asks at once is to see all of them.
  await caughtUpVersion(deps, made.id);
  return made;
};

/** Hosts of an inventory that the principal may read. */
export const hostsOfInventory = async (
  { pool, log, read }: TemplatesDeps,
  input: ReceivedBy<typeof ListInventoryHosts>,
  context: CallContext,
): Promise<PageOf<InventoryHost>> => {
  const inventory = await read.inventory(input.inventoryId);
  if (!inventory || !can(context.principal!, 'read', inventory.organizationId))
    throw notFound(input.inventoryId);
  return listInventoryHosts(pool, log.schema, input);
};

/** The inventory's content now, as a stored object; made once per version of the inventory. */
export const snapshotInventory = async (
  deps: TemplatesDeps,
  { inventoryId }: ReceivedBy<typeof SnapshotInventory>,
): Promise<OutputOf<typeof SnapshotInventory>> => {
  const { pool, log, objects } = deps;
  const version = await caughtUpVersion(deps, inventoryId);
  const { rows } = await pool.query(
    `select sha256, size_bytes::text as size_bytes, total_hosts from ${log.schema}.inventory_snapshot where inventory_id = $1 and version = $2`,
    [inventoryId, version],
  );
  if (rows[0] && (await objects.has(rows[0].sha256))) {
    return {
      object: { sha256: rows[0].sha256, sizeBytes: Number(rows[0].size_bytes) },
      totalHosts: rows[0].total_hosts,
    };
  }
  const listing = await withTransaction(pool, async (sql) => {
    await sql.query('set transaction isolation level repeatable read, read only');
    return {
      ...(await readListing(sql, log.schema, inventoryId)),
      version: await versionOf(sql, log.schema, inventoryId),
    };
  });
  const object = await objects.put(Buffer.from(inventoryListing(listing)));
  const totalHosts = listing.hosts.length;
  await pool.query(
    `insert into ${log.schema}.inventory_snapshot (inventory_id, version, sha256, size_bytes, total_hosts) values ($1, $2, $3, $4, $5)
     on conflict (inventory_id, version) do update set sha256 = excluded.sha256, size_bytes = excluded.size_bytes`,
    [inventoryId, listing.version, object.sha256, object.sizeBytes, totalHosts],
  );
  return { object, totalHosts };
};

/** How two snapshots differ. */
export const compareInventories = async (
  deps: TemplatesDeps,
  { from, to }: ReceivedBy<typeof CompareInventories>,
): Promise<OutputOf<typeof CompareInventories>> =>
  compareListings(await readSnapshot(deps, from), await readSnapshot(deps, to));

const readSnapshot = async ({ objects }: TemplatesDeps, { sha256 }: StoredObject): Promise<Listing> => {
  const bytes = await objects.get(sha256);
  if (!bytes)
    throw new PlatformError('not_found', `The inventory snapshot ${sha256} is not in the store any more.`);
  return (await json(bytes)) as Listing;
};

/** The inventory's version once the read model holds all of it: a job must not run on half an inventory. */
const caughtUpVersion = async (
  { pool, log, inventories }: TemplatesDeps,
  inventoryId: string,
): Promise<number> => {
  const { rows } = await pool.query<{ version: number; transactionId: string; position: string }>(
    `select version, transaction_id::text as "transactionId", position::text as position from ${log.schema}.event_log
     where stream = $1 order by version desc limit 1`,
    [`inventory-${inventoryId}`],
  );
  const last = rows[0];
  if (!last) throw notFound(inventoryId);
  await inventories.caughtUp(last, { timeoutMs: CAUGHT_UP_MILLISECONDS });
  return last.version;
};

const versionOf = async (
  sql: Parameters<typeof readListing>[0],
  schema: string,
  inventoryId: string,
): Promise<number> =>
  (
    await sql.query<{ version: number }>(`select version from ${schema}.inventory where id = $1`, [
      inventoryId,
    ])
  ).rows[0]!.version;

const notFound = (id: string): PlatformError =>
  new PlatformError('not_found', `There is no inventory ${id}.`);
