/**
 * The first start makes the organization Default, the superuser admin and a token in a file for whoever operates this
 * installation. Nothing is ever open without a token. Safe to run at every start, by several replicas at once.
 */
import { identityEvents } from '@gantry/contracts/identity';
import { withTransaction, type Sql } from '@gantry/eventlog/sql';
import type { Meta } from '@gantry/contracts/envelope';
import { loadAggregate } from '@gantry/service/aggregate';
import { newId } from '@gantry/service/context';
import { readText, replacePrivate } from './adapters/files.js';
import { newToken, tokenHash } from './adapters/token-text.js';
import type { IdentityDeps } from './deps.js';
import { decide as decideOrganization } from './domain/organization.js';
import { decide as decideToken, evolve, initial } from './domain/token.js';
import { decide as decideUser } from './domain/user.js';
import { claimName } from './name-claim.js';
import { eventNumbering } from './new-events.js';

/** How the administrator's token is told from others of the same user. */
const DESCRIPTION = 'Administrator of this installation';
const USERNAME = 'admin';

type Outcome = 'created' | 'reissued' | 'nothing';

/** Says what it did. The token is in the file before the transaction commits: a crash in between only means doing it again. */
export const firstStart = (
  { pool, log }: Pick<IdentityDeps, 'pool' | 'log'>,
  { adminTokenFile, reissueAdminToken }: { adminTokenFile: string; reissueAdminToken: boolean },
  meta: Meta,
): Promise<Outcome> =>
  withTransaction(pool, async (sql): Promise<Outcome> => {
    await sql.query(`select pg_advisory_xact_lock(hashtextextended('gantry-identity-first-start', 0))`);
    const { rows: users } = await sql.query<{ id: string; name: string }>(
      `select id::text as id, name from ${log.schema}.name_claim where scope = 'user'`,
    );
    if (users.length === 0) {
      await createDefaults(sql, log, meta);
      const { rows } = await sql.query<{ id: string }>(
        `select id::text as id from ${log.schema}.name_claim where scope = 'user'`,
      );
      await issue(sql, log, rows[0]!.id, adminTokenFile, meta);
      return 'created';
    }
    const admin = users.find(({ name }) => name === USERNAME);
    if (!admin || !reissueAdminToken || (await readText(adminTokenFile)) !== null) return 'nothing';
    await revokeOld(sql, log, admin.id, meta);
    await issue(sql, log, admin.id, adminTokenFile, meta);
    return 'reissued';
  }).then((outcome) => {
    log.wake();
    return outcome;
  });

const createDefaults = async (sql: Sql, log: IdentityDeps['log'], meta: Meta): Promise<void> => {
  const [organizationId, userId] = [newId(), newId()];
  const organization = decideOrganization(null, {
    kind: 'create',
    organizationId,
    name: 'Default',
    description: '',
  });
  await claimName(sql, log.schema, 'organization', 'Default', organizationId);
  await log.appendIn(sql, `organization-${organizationId}`, 0, eventNumbering()(organization), meta);
  const user = decideUser(null, {
    kind: 'create',
    userId,
    username: USERNAME,
    email: null,
    superuser: true,
    auditor: false,
  });
  await claimName(sql, log.schema, 'user', USERNAME, userId);
  await log.appendIn(sql, `user-${userId}`, 0, eventNumbering()(user), meta);
};

const issue = async (
  sql: Sql,
  log: IdentityDeps['log'],
  userId: string,
  file: string,
  meta: Meta,
): Promise<void> => {
  const [tokenId, token] = [newId(), newToken()];
  const events = decideToken(initial, {
    kind: 'issue',
    tokenId,
    userId,
    description: DESCRIPTION,
    sha256: tokenHash(token),
    expiresAt: null,
  });
  await log.appendIn(sql, `token-${tokenId}`, 0, eventNumbering()(events), meta);
  await replacePrivate(file, `${token}\n`);
};

const revokeOld = async (sql: Sql, log: IdentityDeps['log'], userId: string, meta: Meta): Promise<void> => {
  // From the log, for the read model may still be catching up when a service starts.
  const { rows } = await sql.query<{ stream: string }>(
    `select stream from ${log.schema}.event_log where type = 'token.issued' and data ->> 'userId' = $1 and data ->> 'description' = $2`,
    [userId, DESCRIPTION],
  );
  const { TokenIssued, TokenRevoked } = identityEvents;
  for (const { stream } of rows) {
    const { state, version } = await loadAggregate({
      log,
      stream,
      initial,
      evolve,
      catalogue: { TokenIssued, TokenRevoked },
    });
    const events = decideToken(state, { kind: 'revoke', tokenId: stream.slice('token-'.length) });
    if (events.length > 0) await log.appendIn(sql, stream, version, eventNumbering()(events), meta);
  }
};
