/** Read model of tokens: looked up by hash at every request. */
import type { OrganizationRole, Principal } from '@gantry/contracts/access';
import { parseEvent } from '@gantry/contracts/envelope';
import { identityEvents } from '@gantry/contracts/identity';
import type { Sql } from '@gantry/eventlog/sql';
import type { ProjectionDefinition } from '@gantry/service/kit';

const { TokenIssued, TokenRevoked } = identityEvents;
const catalogue = { TokenIssued, TokenRevoked };

/** Table `token`. */
export const tokenProjection = (schema: string): ProjectionDefinition => ({
  name: 'tokens',
  tables: ['token'],
  types: Object.values(catalogue).map(({ type }) => type),
  apply: async (stored, sql) => {
    const event = parseEvent(catalogue, stored);
    if (!event) return;
    if (event.type === 'token.issued') {
      const { tokenId, userId, description, sha256, expiresAt } = event.data;
      await sql.query(
        `insert into ${schema}.token (id, user_id, description, sha256, expires_at, created_at) values ($1, $2, $3, $4, $5, $6)`,
        [tokenId, userId, description, sha256, expiresAt, stored.at],
      );
    } else {
      await sql.query(`update ${schema}.token set revoked_at = $2 where id = $1`, [
        event.data.tokenId,
        stored.at,
      ]);
    }
  },
});

interface TokenRow {
  token_id: string;
  user_id: string;
  username: string;
  superuser: boolean;
  auditor: boolean;
  expires_at: Date | null;
  revoked: boolean;
  roles: { organization_id: string; role: OrganizationRole }[];
}

/** Who a token stands for, with their roles as they are now; null when no token has this hash. */
export const findToken = async (
  sql: Sql,
  schema: string,
  sha256: string,
): Promise<{ principal: Principal; revoked: boolean; expiresAt: Date | null } | null> => {
  const { rows } = await sql.query<TokenRow>(
    `select token.id::text as token_id, owner.id::text as user_id, owner.username, owner.superuser, owner.auditor, token.expires_at,
       token.revoked_at is not null as revoked,
       coalesce((select json_agg(json_build_object('organization_id', r.organization_id, 'role', r.role) order by r.organization_id, r.role)
         from ${schema}.user_role as r where r.user_id = owner.id), '[]') as roles
     from ${schema}.token as token join ${schema}.app_user as owner on owner.id = token.user_id
     where token.sha256 = $1`,
    [sha256],
  );
  const row = rows[0];
  if (!row) return null;
  const organizations: Principal['organizations'] = {};
  for (const { organization_id: organization, role } of row.roles)
    (organizations[organization] ??= []).push(role);
  const { username, superuser, auditor } = row;
  return {
    principal: { userId: row.user_id, username, superuser, auditor, organizations, tokenId: row.token_id },
    revoked: row.revoked,
    expiresAt: row.expires_at,
  };
};

/** Writes down when tokens were last used. */
export const recordUses = async (
  sql: Sql,
  schema: string,
  uses: ReadonlyMap<string, Date>,
): Promise<void> => {
  if (uses.size === 0) return;
  await sql.query(
    `insert into ${schema}.token_use (token_id, last_used_at) select * from unnest($1::uuid[], $2::timestamptz[])
     on conflict (token_id) do update set last_used_at = greatest(token_use.last_used_at, excluded.last_used_at)`,
    [[...uses.keys()], [...uses.values()].map((time) => time.toISOString())],
  );
};
