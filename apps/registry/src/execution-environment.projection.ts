/** Execution environments as queries show them. */
import { readable, type Principal } from '@gantry/contracts/access';
import type { PageOf, ReceivedBy } from '@gantry/contracts/command';
import { eeEvents, type ExecutionEnvironment, type ListExecutionEnvironments } from '@gantry/contracts/ee';
import { parseEvent, type StoredEvent } from '@gantry/contracts/envelope';
import { fromPostgres, type Sql } from '@gantry/eventlog/sql';
import type { ProjectionDefinition } from '@gantry/service/kit';
import { readPage } from '@gantry/service/page';
import type { Registry } from './registry.js';

/** The projection into `execution_environment`. */
export const executionEnvironmentProjection = (schema: string): ProjectionDefinition => ({
  name: 'execution-environment',
  tables: ['execution_environment'],
  types: Object.values(eeEvents).map(({ type }) => type),
  apply: (event, sql) => applyEvent(`${schema}.execution_environment`, event, sql),
});

const applyEvent = async (table: string, stored: StoredEvent, sql: Sql): Promise<void> => {
  const event = parseEvent(eeEvents, stored);
  if (!event) return;
  const { executionEnvironmentId: id } = event.data;
  switch (event.type) {
    case 'execution_environment.registered': {
      const { name, description, organizationId, image, pull, credentialId, managed } = event.data;
      await sql.query(
        `insert into ${table} (id, name, description, organization_id, image, pull, credential_id, managed, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
        [
          id,
          name,
          description,
          organizationId ?? null,
          image,
          pull ?? null,
          credentialId ?? null,
          managed,
          stored.at,
        ],
      );
      break;
    }
    case 'execution_environment.revised': {
      const { name, description, organizationId, image, pull, credentialId } = event.data;
      await sql.query(
        `update ${table} set version = version + 1, name = $2, description = $3, organization_id = $4, image = $5, pull = $6,
           credential_id = $7, ${['digest', 'digest_since', 'platforms']
             .map((column) => `${column} = case when image = $5 then ${column} end`)
             .join(', ')} where id = $1`,
        [id, name, description, organizationId ?? null, image, pull ?? null, credentialId ?? null],
      );
      break;
    }
    case 'execution_environment.image_changed':
      await sql.query(
        `update ${table} set version = version + 1, image = $2, pull = $3, digest = null, digest_since = null, platforms = null
         where id = $1`,
        [id, event.data.image, event.data.pull],
      );
      break;
    case 'execution_environment.digest_resolved': {
      const { image, digest, platforms } = event.data;
      await sql.query(
        `update ${table} set digest = $3, digest_since = $4, platforms = $5 where id = $1 and image = $2`,
        [id, image, digest, stored.at, platforms ? JSON.stringify(platforms) : null],
      );
      break;
    }
    case 'execution_environment.made_default':
      await sql.query(`update ${table} set is_default = false where is_default and id <> $1`, [id]);
      await sql.query(`update ${table} set is_default = true where id = $1`, [id]);
      break;
    case 'execution_environment.deleted':
      await sql.query(`delete from ${table} where id = $1`, [id]);
      break;
  }
};

interface Row {
  id: string;
  name: string;
  description: string;
  organization_id: string | null;
  image: string;
  pull: ExecutionEnvironment['pull'];
  credential_id: string | null;
  managed: boolean;
  version: number;
  is_default: boolean;
  digest: string | null;
  digest_since: Date | null;
  platforms: string[] | null;
  created_at: Date;
  asked_at: Date | null;
  failure: string | null;
  words: string | null;
  used_image: string | null;
  used_digest: string | null;
}

/** One with what queries do not show. */
export type Found = ExecutionEnvironment & { platforms: string[] | null };

const shown = (row: Row): Found => ({
  id: row.id,
  name: row.name,
  description: row.description,
  organizationId: row.organization_id,
  image: row.image,
  pull: row.pull,
  credentialId: row.credential_id,
  managed: row.managed,
  version: row.version,
  isDefault: row.is_default,
  digest: row.digest,
  digestSince: row.digest_since?.toISOString() ?? null,
  tagMoved: tagMovedOf(row),
  lookup: row.asked_at && { at: row.asked_at.toISOString(), failure: row.failure, words: row.words },
  createdAt: row.created_at.toISOString(),
  platforms: row.platforms,
});

/** Since the last job; a job that gets the new digest takes note of it. */
const tagMovedOf = (row: Row): ExecutionEnvironment['tagMoved'] => {
  const { digest, digest_since: since, used_digest: previousDigest } = row;
  if (digest === null || since === null || previousDigest === null) return null;
  if (row.used_image !== row.image || previousDigest === digest) return null;
  return { previousDigest, digest, since: since.toISOString() };
};

/** With what the lookups know, as a table to select from. */
const joined = (schema: string): string =>
  `(select ee.*, asked.asked_at, asked.failure, asked.words, asked.used_image, asked.used_digest
    from ${schema}.execution_environment as ee
    left join ${schema}.execution_environment_lookup as asked on asked.execution_environment_id = ee.id) as shown`;

/** A page, by name, of the execution environments that this person may see: the global ones and their organizations'. */
export const listExecutionEnvironments = (
  { pool, schema }: Registry,
  input: ReceivedBy<typeof ListExecutionEnvironments>,
  principal: Principal,
): Promise<PageOf<ExecutionEnvironment>> => {
  const [where, params]: [string[], unknown[]] = [[], []];
  if (input.ids) where.push(`id = any($${params.push(input.ids)}::uuid[])`);
  if (input.name) where.push(`name = $${params.push(input.name)}`);
  const organizations = readable(principal);
  if (organizations !== 'all')
    where.push(`(organization_id is null or organization_id = any($${params.push(organizations)}::uuid[]))`);
  const keys = [
    { column: 'name', type: 'text' },
    { column: 'id', type: 'uuid' },
  ] as const;
  return readPage(pool, { from: joined(schema), where, params, keys, request: input, node: shown });
};

/** One by id, whoever asks. Null when there is none. */
export const findExecutionEnvironment = (registry: Registry, id: string): Promise<Found | null> =>
  findOne(registry, 'id = $1', [id]);

/** The default of this installation; null when there is none. */
export const findDefault = (registry: Registry): Promise<Found | null> => findOne(registry, 'is_default', []);

/** The first global one by name that jobs may use; null when there is none. */
export const findFirstGlobal = (registry: Registry): Promise<Found | null> =>
  findOne(registry, 'organization_id is null and not managed', []);

const findOne = async (
  { pool, schema }: Registry,
  condition: string,
  params: string[],
): Promise<Found | null> => {
  const { rows } = await pool
    .query<Row>(`select * from ${joined(schema)} where ${condition} order by name, id limit 1`, params)
    .catch((error: unknown) => {
      throw fromPostgres(error);
    });
  return rows[0] ? shown(rows[0]) : null;
};

/** What every execution environment means now. */
export const listCurrentImages = async ({
  pool,
  schema,
}: Registry): Promise<{ image: string; digest: string | null }[]> =>
  (
    await pool.query<{ image: string; digest: string | null }>(
      `select distinct image, digest from ${schema}.execution_environment`,
    )
  ).rows;
