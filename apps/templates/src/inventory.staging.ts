/** Large inventories come in pieces: NATS carries a megabyte, an inventory may be many. */
import type { ReceivedBy } from '@gantry/contracts/command';
import { PlatformError } from '@gantry/contracts/errors';
import { CreateInventory, InventoryContents, type StageInventory } from '@gantry/contracts/template';
import type { Sql } from '@gantry/eventlog/sql';
import { checkShape } from '@gantry/service/command-binding';
import type { CallContext } from '@gantry/service/context';
import type { TemplatesDeps } from './deps.js';
import { mayCreateIn } from './organization.js';

type Staged = NonNullable<ReceivedBy<typeof CreateInventory>['staged']>;

/** Keeps a piece, and forgets those that nobody came for. */
export const stageInventory = async (
  deps: TemplatesDeps,
  { organizationId, uploadId, part, data }: ReceivedBy<typeof StageInventory>,
  context: CallContext,
): Promise<Record<string, never>> => {
  await mayCreateIn(deps, organizationId, 'inventories', context);
  const { pool, log } = deps;
  await pool.query(`delete from ${log.schema}.inventory_staging where at < now() - interval '1 hour'`);
  const { rowCount } = await pool.query(
    `insert into ${log.schema}.inventory_staging as own (upload_id, part, user_id, data) values ($1, $2, $3, $4)
     on conflict (upload_id, part) do update set data = excluded.data, at = now() where own.user_id = excluded.user_id`,
    [uploadId, part, context.principal!.userId, Buffer.from(data, 'base64')],
  );
  if (rowCount === 0) throw incomplete();
  return {};
};

/** The pieces put together; they are gone afterwards. Throws `invalid` when one is missing or they are no inventory. */
export const takeStaged = async (
  sql: Sql,
  schema: string,
  { uploadId, parts }: Staged,
  userId: string,
): Promise<ReturnType<typeof InventoryContents.parse>> => {
  const { rows } = await sql.query<{ data: Buffer | null; parts: number }>(
    `with taken as (
       delete from ${schema}.inventory_staging where upload_id = $1 and user_id = $2 returning part, data
     ) select string_agg(data, '' order by part) as data, count(*)::int as parts from taken`,
    [uploadId, userId],
  );
  const { data, parts: found } = rows[0]!;
  if (!data || found !== parts) throw incomplete();
  let contents: unknown;
  try {
    contents = JSON.parse(data.toString());
  } catch (cause) {
    throw new PlatformError('invalid', 'The hosts and groups of this inventory are no JSON.', { cause });
  }
  return checkShape(InventoryContents, contents, CreateInventory.name);
};

const incomplete = (): PlatformError =>
  new PlatformError('invalid', 'The hosts and groups of this inventory did not all arrive: send it again.');
