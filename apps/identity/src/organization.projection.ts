/** Read model of organizations. */
import type { Principal } from '@gantry/contracts/access';
import type { OutputOf, PageOf, ReceivedBy } from '@gantry/contracts/command';
import { parseEvent } from '@gantry/contracts/envelope';
import {
  identityEvents,
  type GetDefaultEnvironments,
  type ListOrganizations,
  type ListOrganizationsUsingEnvironment,
  type Organization,
} from '@gantry/contracts/identity';
import type { Sql } from '@gantry/eventlog/sql';
import type { ProjectionDefinition } from '@gantry/service/kit';
import { byCreation, readPage } from '@gantry/service/page';

const { OrganizationCreated, OrganizationDefaultEnvironmentSet } = identityEvents;
const catalogue = { OrganizationCreated, OrganizationDefaultEnvironmentSet };

/** Table `organization`. */
export const organizationProjection = (schema: string): ProjectionDefinition => ({
  name: 'organizations',
  tables: ['organization'],
  types: Object.values(catalogue).map(({ type }) => type),
  apply: async (stored, sql) => {
    const event = parseEvent(catalogue, stored);
    if (!event) return;
    if (event.type === 'organization.default_environment_set') {
      await sql.query(`update ${schema}.organization set default_environment_id = $2 where id = $1`, [
        event.data.organizationId,
        event.data.executionEnvironmentId,
      ]);
      return;
    }
    const { organizationId, name, description } = event.data;
    await sql.query(
      `insert into ${schema}.organization (id, name, description, created_at) values ($1, $2, $3, $4)`,
      [organizationId, name, description, stored.at],
    );
  },
});

/** One organization, null when there is none. */
export const findOrganization = async (
  sql: Sql,
  schema: string,
  id: string,
): Promise<{ id: string; name: string } | null> => {
  const { rows } = await sql.query<{ id: string; name: string }>(
    `select id::text as id, name from ${schema}.organization where id = $1`,
    [id],
  );
  return rows[0] ?? null;
};

/** Those in which the principal has a role; all for superusers and auditors. */
export const listOrganizations = (
  sql: Sql,
  schema: string,
  input: ReceivedBy<typeof ListOrganizations>,
  principal: Principal,
): Promise<PageOf<Organization>> => {
  const [where, params]: [string[], unknown[]] = [[], []];
  const add = (condition: string, value: unknown): void =>
    void where.push(condition.replace('?', `$${params.push(value)}`));
  if (!principal.superuser && !principal.auditor)
    add('id = any(?::uuid[])', Object.keys(principal.organizations));
  if (input.ids) add('id = any(?::uuid[])', input.ids);
  if (input.name) add('name = ?', input.name);
  return readPage(sql, {
    from: `${schema}.organization`,
    where,
    params,
    keys: byCreation,
    request: input,
    node: (row) => ({
      id: row.id,
      name: row.name,
      description: row.description,
      defaultEnvironmentId: row.default_environment_id,
      createdAt: row.created_at.toISOString(),
    }),
  });
};

/** Default execution environments of these organizations, whoever asks. */
export const defaultEnvironments = async (
  sql: Sql,
  schema: string,
  { organizationIds }: ReceivedBy<typeof GetDefaultEnvironments>,
): Promise<OutputOf<typeof GetDefaultEnvironments>> => {
  const { rows } = await sql.query<{ organizationId: string; executionEnvironmentId: string }>(
    `select id::text as "organizationId", default_environment_id::text as "executionEnvironmentId" from ${schema}.organization
     where id = any($1::uuid[]) and default_environment_id is not null`,
    [organizationIds],
  );
  return { items: rows };
};

/** Organizations whose default it is: those that the principal belongs to, and the number of all. */
export const organizationsUsing = async (
  sql: Sql,
  schema: string,
  { executionEnvironmentId }: ReceivedBy<typeof ListOrganizationsUsingEnvironment>,
  principal: Principal,
): Promise<OutputOf<typeof ListOrganizationsUsingEnvironment>> => {
  const { rows } = await sql.query<{ id: string; name: string }>(
    `select id::text as id, name from ${schema}.organization where default_environment_id = $1 order by name`,
    [executionEnvironmentId],
  );
  const seen = rows.filter(
    ({ id }) => principal.superuser || principal.auditor || id in principal.organizations,
  );
  return {
    items: seen.slice(0, 20).map(({ id, name }) => ({ kind: 'organization', id, name })),
    totalCount: rows.length,
  };
};
