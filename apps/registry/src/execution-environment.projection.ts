/** Execution environments as queries show them. */
import { readable, type Principal } from '@gantry/contracts/access';
import type { PageOf, ReceivedBy } from '@gantry/contracts/command';
import { eeEvents, type ExecutionEnvironment, type ListExecutionEnvironments } from '@gantry/contracts/ee';
import { parseEvent, type StoredEvent } from '@gantry/contracts/envelope';
import { fromPostgres, type Sql } from '@gantry/eventlog/sql';
import type { ProjectionDefinition } from '@gantry/service/kit';
import { readPage } from '@gantry/service/page';
import type { Registry } from './registry.js';

/** The projection into `table`. */
export const executionEnvironmentProjection = (table: string): ProjectionDefinition => ({
  name: 'execution-environment',
  tables: ['execution_environment'],
  types: Object.values(eeEvents).map(({ type }) => type),
  apply: (event, sql) => applyEvent(table, event, sql),
});

const applyEvent = async (table: string, stored: StoredEvent, sql: Sql): Promise<void> => {
  const event = parseEvent(eeEvents, stored);
  switch (event?.type) {
    case 'execution_environment.registered': {
      const {
        executionEnvironmentId,
        name,
        description,
        organizationId,
        image,
        pull,
        credentialId,
        managed,
      } = event.data;
      await sql.query(
        `insert into ${table} (id, name, description, organization_id, image, pull, credential_id, managed, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
        [
          executionEnvironmentId,
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
    case 'execution_environment.made_default':
      await sql.query(`update ${table} set is_default = false where is_default and id <> $1`, [
        event.data.executionEnvironmentId,
      ]);
      await sql.query(`update ${table} set is_default = true where id = $1`, [
        event.data.executionEnvironmentId,
      ]);
      break;
    case 'execution_environment.digest_resolved':
      await sql.query(`update ${table} set digest = $3 where id = $1 and image = $2`, [
        event.data.executionEnvironmentId,
        event.data.image,
        event.data.digest,
      ]);
      break;
    case 'execution_environment.image_changed':
      await sql.query(`update ${table} set image = $2, pull = $3, digest = null where id = $1`, [
        event.data.executionEnvironmentId,
        event.data.image,
        event.data.pull,
      ]);
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
  is_default: boolean;
  digest: string | null;
  created_at: Date;
}

const shown = (row: Row): ExecutionEnvironment => ({
  id: row.id,
  name: row.name,
  description: row.description,
  organizationId: row.organization_id,
  image: row.image,
  pull: row.pull,
  credentialId: row.credential_id,
  managed: row.managed,
  isDefault: row.is_default,
  digest: row.digest,
  createdAt: row.created_at.toISOString(),
});

/** A page, by name, of the execution environments that this person may see: the global ones and their organizations'. */
export const listExecutionEnvironments = (
  { pool, table }: Registry,
  input: ReceivedBy<typeof ListExecutionEnvironments>,
  principal: Principal,
): Promise<PageOf<ExecutionEnvironment>> => {
  const [where, params]: [string[], unknown[]] = [[], []];
  if (input.ids) where.push(`id = any($${params.push(input.ids)}::uuid[])`);
  const organizations = readable(principal);
  if (organizations !== 'all')
    where.push(`(organization_id is null or organization_id = any($${params.push(organizations)}::uuid[]))`);
  const keys = [
    { column: 'name', type: 'text' },
    { column: 'id', type: 'uuid' },
  ] as const;
  return readPage(pool, { from: table, where, params, keys, request: input, node: shown });
};

/** One by id, or the default when `id` is null; whoever asks. Null when there is none. */
export const findExecutionEnvironment = async (
  { pool, table }: Registry,
  id: string | null,
): Promise<ExecutionEnvironment | null> => {
  const { rows } = await pool
    .query<Row>(
      `select * from ${table} where ${id === null ? 'is_default' : 'id = $1'}`,
      id === null ? [] : [id],
    )
    .catch((error: unknown) => {
      throw fromPostgres(error);
    });
  return rows[0] ? shown(rows[0]) : null;
};
