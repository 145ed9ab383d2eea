/** Read model of users and their roles. */
import { can, type Principal } from '@gantry/contracts/access';
import type { PageOf, ReceivedBy } from '@gantry/contracts/command';
import { parseEvent } from '@gantry/contracts/envelope';
import { identityEvents, type ListUsers, type User } from '@gantry/contracts/identity';
import type { Sql } from '@gantry/eventlog/sql';
import type { ProjectionDefinition } from '@gantry/service/kit';
import { byCreation, readPage } from '@gantry/service/page';

const { UserCreated, UserRoleGranted, UserRoleRevoked } = identityEvents;
const catalogue = { UserCreated, UserRoleGranted, UserRoleRevoked };

/** Tables `app_user`, `user_role`. */
export const userProjection = (schema: string): ProjectionDefinition => ({
  name: 'users',
  tables: ['app_user', 'user_role'],
  types: Object.values(catalogue).map(({ type }) => type),
  apply: async (stored, sql) => {
    const event = parseEvent(catalogue, stored);
    if (!event) return;
    const { type, data } = event;
    if (type === 'user.created') {
      await sql.query(
        `insert into ${schema}.app_user (id, username, email, superuser, auditor, created_at) values ($1, $2, $3, $4, $5, $6)`,
        [data.userId, data.username, data.email, data.superuser, data.auditor, stored.at],
      );
    } else if (type === 'user.role_granted') {
      await sql.query(
        `insert into ${schema}.user_role (user_id, organization_id, role) values ($1, $2, $3) on conflict do nothing`,
        [data.userId, data.organizationId, data.role],
      );
    } else {
      await sql.query(
        `delete from ${schema}.user_role where user_id = $1 and organization_id = $2 and role = $3`,
        [data.userId, data.organizationId, data.role],
      );
    }
  },
});

/** Whether there is such a user. */
export const userExists = async (sql: Sql, schema: string, id: string): Promise<boolean> =>
  (await sql.query(`select 1 from ${schema}.app_user where id = $1`, [id])).rows.length > 0;

/** Superusers, auditors and administrators of any organization see all; others themselves and who shares an organization with them. */
export const listUsers = (
  sql: Sql,
  schema: string,
  input: ReceivedBy<typeof ListUsers>,
  principal: Principal,
): Promise<PageOf<User>> => {
  const [where, params]: [string[], unknown[]] = [[], []];
  const organizations = Object.keys(principal.organizations);
  const seesAll =
    principal.auditor || principal.superuser || organizations.some((id) => can(principal, 'admin', id));
  if (!seesAll) {
    where.push(
      `(id = $${params.push(principal.userId)} or id in (select user_id from ${schema}.user_role where organization_id = any($${params.push(organizations)}::uuid[])))`,
    );
  }
  if (input.ids) where.push(`id = any($${params.push(input.ids)}::uuid[])`);
  return readPage(sql, {
    from: `${schema}.app_user`,
    where,
    params,
    keys: byCreation,
    request: input,
    node: ({ id, username, email, superuser, auditor, created_at: createdAt }) => ({
      id,
      username,
      email,
      superuser,
      auditor,
      createdAt: createdAt.toISOString(),
    }),
  });
};
