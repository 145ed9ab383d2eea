/** Credentials as queries show them. Secret inputs read `$encrypted$`. */
import type { Principal } from '@gantry/contracts/access';
import { readable } from '@gantry/contracts/access';
import type { PageOf, ReceivedBy } from '@gantry/contracts/command';
import {
  CredentialCreated,
  CredentialRotated,
  ENCRYPTED,
  credentialEvents,
  type Credential,
  type ListCredentials,
} from '@gantry/contracts/credential';
import { parseEvent, type StoredEvent } from '@gantry/contracts/envelope';
import { fromPostgres, type Sql } from '@gantry/eventlog/sql';
import type { ProjectionDefinition } from '@gantry/service/kit';
import { readPage } from '@gantry/service/page';
import type { Vault } from './vault.js';

/** The projection into `table`. */
export const credentialProjection = (table: string): ProjectionDefinition => ({
  name: 'credential',
  tables: ['credential'],
  types: [CredentialCreated.type, CredentialRotated.type],
  apply: (event, sql) => applyCredential(table, event, sql),
});

const applyCredential = async (table: string, stored: StoredEvent, sql: Sql): Promise<void> => {
  const event = parseEvent(credentialEvents, stored);
  if (event?.type === 'credential.rotated') {
    const { credentialId, version, inputs, secretFields } = event.data;
    await sql.query(`update ${table} set version = $2, inputs = $3, secret_fields = $4 where id = $1`, [
      credentialId,
      version,
      JSON.stringify(inputs),
      secretFields,
    ]);
    return;
  }
  if (event?.type !== 'credential.created') return;
  const { credentialId, name, description, organizationId, credentialType, version, inputs, secretFields } =
    event.data;
  await sql.query(
    `insert into ${table} (id, name, description, organization_id, credential_type, version, inputs, secret_fields, created_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [
      credentialId,
      name,
      description,
      organizationId,
      credentialType,
      version,
      JSON.stringify(inputs),
      secretFields,
      stored.at,
    ],
  );
};

interface Row {
  id: string;
  name: string;
  description: string;
  organization_id: string;
  credential_type: string;
  version: number;
  inputs: Record<string, unknown>;
  secret_fields: string[];
  created_at: Date;
}

const shown = (row: Row): Credential => ({
  id: row.id,
  name: row.name,
  description: row.description,
  organizationId: row.organization_id,
  credentialType: row.credential_type,
  version: row.version,
  inputs: { ...row.inputs, ...Object.fromEntries(row.secret_fields.map((field) => [field, ENCRYPTED])) },
  createdAt: row.created_at.toISOString(),
});

/** A page, by name, of the credentials that this person may read. */
export const listCredentials = (
  { pool, table }: Vault,
  input: ReceivedBy<typeof ListCredentials>,
  principal: Principal,
): Promise<PageOf<Credential>> => {
  const [where, params]: [string[], unknown[]] = [[], []];
  if (input.ids) where.push(`id = any($${params.push(input.ids)}::uuid[])`);
  const organizations = readable(principal);
  if (organizations !== 'all') where.push(`organization_id = any($${params.push(organizations)}::uuid[])`);
  const keys = [
    { column: 'name', type: 'text' },
    { column: 'id', type: 'uuid' },
  ] as const;
  return readPage(pool, { from: table, where, params, keys, request: input, node: shown });
};

/** These credentials, whoever asks; missing ones are left out. */
export const findCredentials = async (
  { pool, table }: Vault,
  ids: readonly string[],
): Promise<Credential[]> => {
  const { rows } = await pool
    .query<Row>(`select * from ${table} where id = any($1::uuid[])`, [ids])
    .catch((error: unknown) => {
      throw fromPostgres(error);
    });
  return rows.map(shown);
};
