/** Read model of organizations. */
import type { Principal } from '@gantry/contracts/access';
import type { PageOf, ReceivedBy } from '@gantry/contracts/command';
import { parseEvent } from '@gantry/contracts/envelope';
import { identityEvents, type ListOrganizations, type Organization } from '@gantry/contracts/identity';
import type { Sql } from '@gantry/eventlog/sql';
import type { ProjectionDefinition } from '@gantry/service/kit';
import { byCreation, readPage } from '@gantry/service/page';

const { OrganizationCreated } = identityEvents;

/** Table `organization`. */
export const organizationProjection = (schema: string): ProjectionDefinition => ({
  name: 'organizations',
  tables: ['organization'],
  types: [OrganizationCreated.type],
  apply: async (stored, sql) => {
    const event = parseEvent({ OrganizationCreated }, stored);
    if (!event) return;
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
      createdAt: row.created_at.toISOString(),
    }),
  });
};
