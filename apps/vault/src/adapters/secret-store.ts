/** The tables of ciphertexts. Nothing here sees a plaintext. */
import { identifier, type Sql } from '@gantry/eventlog/sql';
import type { Sealed } from './envelope.js';

/** Fields of one credential version, or the proof key of one grant; written in the transaction of their event. */
export interface SecretStore {
  saveCredential(sql: Sql, id: string, version: number, sealed: Sealed): Promise<void>;
  /** Null for a credential without secrets. */
  loadCredential(sql: Sql, id: string, version: number): Promise<Sealed | null>;
  saveProofKey(sql: Sql, jobId: string, epoch: number, sealed: Sealed): Promise<void>;
  /** Null for a grant that is not there or closed. */
  loadProofKey(sql: Sql, jobId: string, epoch: number): Promise<Sealed | null>;
  dropProofKey(sql: Sql, jobId: string, epoch: number): Promise<void>;
  /** Ids of the key-encryption keys without which something stored cannot be opened. */
  keysInUse(sql: Sql): Promise<string[]>;
}

/** Name of the one field of a grant. */
export const PROOF_KEY = 'proofKey';

/** The store in a schema. */
export const createSecretStore = (schema: string): SecretStore => {
  const table = (name: string): string => `${identifier(schema)}.${name}`;
  const [keys, secrets, proofKeys] = [
    table('credential_key'),
    table('credential_secret'),
    table('grant_proof_key'),
  ];
  return {
    saveCredential: async (sql, id, version, { keyId, wrapped, fields }) => {
      await sql.query(
        `insert into ${keys} (credential_id, version, key_id, wrapped_key) values ($1, $2, $3, $4)`,
        [id, version, keyId, wrapped],
      );
      for (const { field, ciphertext } of fields) {
        await sql.query(
          `insert into ${secrets} (credential_id, version, field, ciphertext) values ($1, $2, $3, $4)`,
          [id, version, field, ciphertext],
        );
      }
    },
    loadCredential: async (sql, id, version) => {
      const { rows } = await sql.query<{
        key_id: string;
        wrapped_key: Buffer;
        field: string;
        ciphertext: Buffer;
      }>(
        `select key_id, wrapped_key, field, ciphertext from ${keys} join ${secrets} using (credential_id, version)
         where credential_id = $1 and version = $2 order by field`,
        [id, version],
      );
      if (!rows[0]) return null;
      return {
        keyId: rows[0].key_id,
        wrapped: rows[0].wrapped_key,
        fields: rows.map(({ field, ciphertext }) => ({ field, ciphertext })),
      };
    },
    saveProofKey: async (sql, jobId, epoch, { keyId, wrapped, fields }) => {
      await sql.query(
        `insert into ${proofKeys} (job_id, epoch, key_id, wrapped_key, ciphertext) values ($1, $2, $3, $4, $5)`,
        [jobId, epoch, keyId, wrapped, fields[0]!.ciphertext],
      );
    },
    loadProofKey: async (sql, jobId, epoch) => {
      const { rows } = await sql.query<{ key_id: string; wrapped_key: Buffer; ciphertext: Buffer }>(
        `select key_id, wrapped_key, ciphertext from ${proofKeys} where job_id = $1 and epoch = $2`,
        [jobId, epoch],
      );
      if (!rows[0]) return null;
      const { key_id: keyId, wrapped_key: wrapped, ciphertext } = rows[0];
      return { keyId, wrapped, fields: [{ field: PROOF_KEY, ciphertext }] };
    },
    dropProofKey: async (sql, jobId, epoch) => {
      await sql.query(`delete from ${proofKeys} where job_id = $1 and epoch = $2`, [jobId, epoch]);
    },
    keysInUse: async (sql) => {
      const { rows } = await sql.query<{ key_id: string }>(
        `select key_id from ${keys} union select key_id from ${proofKeys}`,
      );
      return rows.map((row) => row.key_id);
    },
  };
};
