import { execFileSync } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connectNats } from '@gantry/bus/connect';
import type { OrganizationRole, Principal } from '@gantry/contracts/access';
import {
  CloseGrant,
  CreateCredential,
  CreateGrant,
  ENCRYPTED,
  ListCredentialTypes,
  ListCredentials,
  PinCredentials,
  RedeemGrant,
  RotateCredential,
} from '@gantry/contracts/credential';
import { provision } from '@gantry/eventlog/migrate';
import { startService, type RunningService } from '@gantry/service/boot';
import { newId } from '@gantry/service/context';
import {
  createTestCaller,
  createTestIssuer,
  testConfig,
  testPrincipal,
  type TestCaller,
} from '@gantry/service/testing';
import { eventually } from '@gantry/testkit/eventually';
import { startNats, type NatsServer } from '@gantry/testkit/nats';
import { freshDatabase, type FreshDatabase } from '@gantry/testkit/postgres';
import { jetstreamManager } from '@nats-io/jetstream';
import { calculateJwkThumbprint, compactDecrypt, exportJWK, generateKeyPair } from 'jose';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VaultModule } from './app.module.js';
import type { Credentials } from './injection.js';

const canary = (): string => `canary-${randomBytes(9).toString('hex')}`;
const organizationId = newId();
const withRole = (...roles: OrganizationRole[]): Principal =>
  testPrincipal({ organizations: { [organizationId]: roles } });
const admin = withRole('admin');
const proofKey = randomBytes(32);

let directory: string;
let database: FreshDatabase;
let nats: NatsServer;
let service: RunningService;
let asAdmin: pg.Client;
let gateway: TestCaller;
let launcher: TestCaller;
let ingest: TestCaller;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'gantry-vault-'));
  [database, nats] = await Promise.all([freshDatabase(), startNats()]);
  const urls = await provision({
    adminUrl: database.adminUrl,
    database: database.name,
    rolePrefix: database.rolePrefix,
    services: [
      {
        name: 'vault',
        password: 'test',
        migrationsDir: fileURLToPath(new URL('../migrations/', import.meta.url)),
      },
    ],
  });
  const issuer = await createTestIssuer();
  const base = testConfig({
    service: 'vault',
    postgresUrl: urls['vault']!,
    natsUrl: nats.url,
    keys: issuer.keys,
  });
  service = await startService(VaultModule.forRoot({ base, keyFile: join(directory, 'vault.key') }), base);
  const caller = (name: 'gateway' | 'launcher' | 'ingest') =>
    createTestCaller({ natsUrl: nats.url, service: name, issuer });
  [gateway, launcher, ingest] = await Promise.all([caller('gateway'), caller('launcher'), caller('ingest')]);
  asAdmin = new pg.Client({ connectionString: database.adminUrl });
  await asAdmin.connect();
});
afterAll(async () => {
  await Promise.allSettled([gateway?.close(), launcher?.close(), ingest?.close(), asAdmin?.end()]);
  await service?.stop();
  await Promise.allSettled([nats?.stop(), database?.drop()]);
  rmSync(directory, { recursive: true, force: true });
});

const create = async (
  credentialType: string,
  inputs: Record<string, unknown>,
  name = `c ${newId()}`,
): Promise<string> =>
  (
    await gateway.call(
      CreateCredential,
      { name, organizationId, credentialType, inputs },
      { principal: admin },
    )
  ).id;
const list = async (ids: string[], principal: Principal = admin) =>
  (await gateway.call(ListCredentials, { ids }, { principal })).items.map(({ node }) => node);
const grantFor = async (credentialIds: string[]): Promise<{ jobId: string; epoch: number }> => {
  const grant = { jobId: newId(), epoch: 1 };
  const credentials = credentialIds.map((id) => ({ id, version: 1 }));
  await launcher.call(CreateGrant, { ...grant, credentials, proofKey: proofKey.toString('base64url') });
  return grant;
};
const pod = async () => {
  const { publicKey, privateKey } = await generateKeyPair('ECDH-ES', { crv: 'P-256', extractable: true });
  const jwk = await exportJWK(publicKey);
  const thumbprint = await calculateJwkThumbprint(jwk, 'sha256');
  return {
    thumbprint,
    redeem: ({ jobId, epoch }: { jobId: string; epoch: number }, key = proofKey) => {
      const proof = createHmac('sha256', key).update(`${jobId}.${epoch}.${thumbprint}`).digest('base64url');
      return ingest.call(RedeemGrant, { jobId, epoch, publicKey: { ...jwk }, proof });
    },
    open: async (jwe: string | null) =>
      JSON.parse(new TextDecoder().decode((await compactDecrypt(jwe!, privateKey)).plaintext)) as Credentials,
  };
};
const eventsOf = async ({
  jobId,
  epoch,
}: {
  jobId: string;
  epoch: number;
}): Promise<{ type: string; data: Record<string, unknown> }[]> =>
  (
    await asAdmin.query('select type, data from vault.event_log where stream = $1 order by version', [
      `grant-${jobId}-${epoch}`,
    ])
  ).rows;
const sshKey = (passphrase = ''): string => {
  const file = join(directory, newId());
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-a', '1', '-N', passphrase, '-C', '', '-f', file]);
  return readFileSync(file, 'utf8');
};

describe('a credential', () => {
  it('is made by an administrator of its organization, and by nobody less', async () => {
    const input = { name: 'by role', organizationId, credentialType: 'ssh', inputs: { username: 'deploy' } };
    for (const role of ['use', 'execute', 'update', 'read', 'auditor', 'member'] as const) {
      await expect(
        gateway.call(CreateCredential, input, { principal: withRole(role) }),
      ).rejects.toMatchObject({ code: 'forbidden' });
    }
    const elsewhere = testPrincipal({ organizations: { [newId()]: ['admin'] } });
    await expect(gateway.call(CreateCredential, input, { principal: elsewhere })).rejects.toMatchObject({
      code: 'forbidden',
    });
    await expect(gateway.call(CreateCredential, input)).rejects.toMatchObject({ code: 'unauthenticated' });
    await gateway.call(CreateCredential, input, { principal: admin });
    await gateway.call(
      CreateCredential,
      { ...input, name: 'by superuser' },
      { principal: testPrincipal({ superuser: true }) },
    );
  });

  it('shows its plain inputs and $encrypted$, to who may read it', async () => {
    const id = await create('ssh', { username: 'deploy', password: canary() });
    expect((await list([id]))[0]).toMatchObject({
      id,
      version: 1,
      inputs: { username: 'deploy', password: '$encrypted$' },
    });
    expect(await list([id], withRole('read'))).toHaveLength(1);
    expect(await list([id], testPrincipal({ auditor: true }))).toHaveLength(1);
    expect(await list([id], withRole('member'))).toEqual([]);
    expect(await list([id], testPrincipal())).toEqual([]);
  });

  it('is made once per idempotency key, and its name is taken once', async () => {
    const input = {
      name: 'only one',
      organizationId,
      credentialType: 'ssh',
      inputs: {},
      idempotencyKey: newId(),
    };
    const both = await Promise.all(
      [1, 2].map(() => gateway.call(CreateCredential, input, { principal: admin })),
    );
    expect(both.map(({ created }) => created).sort()).toEqual([false, true]);
    expect(both[0]!.id).toBe(both[1]!.id);
    const again = gateway.call(CreateCredential, { ...input, idempotencyKey: null }, { principal: admin });
    await expect(again).rejects.toMatchObject({ code: 'refused', details: { reason: 'name_taken' } });
  });

  it('is refused with a key that does not parse or open, and the sentence quotes nothing', async () => {
    const locked = sshKey('the phrase');
    const refused = async (inputs: Record<string, unknown>): Promise<string> => {
      const error = (await create('ssh', inputs).catch((thrown: unknown) => thrown)) as {
        code: string;
        message: string;
        details: unknown;
      };
      expect(error.code).toBe('invalid');
      return error.message + JSON.stringify(error.details);
    };
    expect(
      await refused({ ssh_key_data: `-----BEGIN PRIVATE KEY-----\n${canary()}\n-----END PRIVATE KEY-----` }),
    ).toMatch(/ssh_key_data is not a private key(?!.*canary)/);
    expect(await refused({ ssh_key_data: locked })).toContain('is protected by a passphrase');
    expect(await refused({ ssh_key_data: locked, ssh_key_unlock: 'canary phrase' })).toMatch(
      /does not open the key(?!.*canary)/,
    );
    expect(await refused({ ssh_key_unlock: 'the phrase' })).toContain('there is none in ssh_key_data');
    expect(await refused({ [canary()]: 'x' })).not.toContain('canary');
    await create('ssh', { ssh_key_data: locked, ssh_key_unlock: 'the phrase' });
  });

  it('has one of the types that are told', async () => {
    const { items } = await gateway.call(ListCredentialTypes, {}, { principal: testPrincipal() });
    expect(items.map(({ id }) => id)).toEqual(['ssh', 'vault', 'scm', 'registry']);
    await expect(create('no-such-type', {})).rejects.toMatchObject({ code: 'invalid' });
  });
});

describe('pinning', () => {
  it('gives versions, and refuses what one job cannot hold or this person may not use', async () => {
    const [one, two] = [await create('ssh', {}, 'pin one'), await create('ssh', {}, 'pin two')];
    const launch = (credentialIds: string[], prompted: string[], principal: Principal) =>
      launcher.call(PinCredentials, { credentialIds, prompted }, { principal });
    expect((await launch([one], [], withRole('execute'))).credentials).toEqual([
      { id: one, version: 1, name: 'pin one', credentialType: 'ssh' },
    ]);
    expect((await launch([one], [one], withRole('use'))).credentials).toHaveLength(1);
    await expect(launch([one], [one], withRole('execute'))).rejects.toMatchObject({ code: 'forbidden' });
    await expect(launch([], [one], testPrincipal())).rejects.toMatchObject({ code: 'not_found' });
    await expect(launch([newId()], [], admin)).rejects.toMatchObject({ code: 'not_found' });
    await expect(launch([one, two], [], admin)).rejects.toMatchObject({
      code: 'refused',
      details: { reason: 'credential_type_twice' },
    });
  });
});

describe('a rotation', () => {
  const rotate = (id: string, inputs: Record<string, unknown>, principal = admin) =>
    gateway.call(RotateCredential, { id, inputs }, { principal });

  it('gives the next version other values; what is left out stays, and old pins keep their own', async () => {
    const [before, after] = [canary(), canary()];
    const id = await create('ssh', { username: 'deploy', password: before, become_password: before });
    const pinnedBefore = await grantFor([id]);
    expect(await rotate(id, { username: 'other', password: after, become_password: ENCRYPTED })).toEqual({
      version: 2,
    });
    expect((await list([id]))[0]).toMatchObject({
      version: 2,
      inputs: { username: 'other', password: ENCRYPTED, become_password: ENCRYPTED },
    });
    const { credentials } = await launcher.call(
      PinCredentials,
      { credentialIds: [id], prompted: [] },
      { principal: withRole('execute') },
    );
    expect(credentials).toMatchObject([{ id, version: 2 }]);
    const grant = { jobId: newId(), epoch: 1 };
    const key = proofKey.toString('base64url');
    await launcher.call(CreateGrant, { ...grant, credentials: [{ id, version: 2 }], proofKey: key });
    const [old, fresh] = [await pod(), await pod()];
    expect((await fresh.open((await fresh.redeem(grant)).jwe)).passwords).toMatchObject({
      connection: after,
      become: before,
    });
    expect((await old.open((await old.redeem(pinnedBefore)).jwe)).passwords.connection).toBe(before);
    const { rows } = await asAdmin.query('select data::text from vault.event_log where stream = $1', [
      `credential-${id}`,
    ]);
    expect(JSON.stringify(rows)).not.toMatch(new RegExp(`${before}|${after}`));
  });

  it('is for administrators, checks as a creation does, and one of two at once wins', async () => {
    const id = await create('ssh', { password: canary() });
    await expect(rotate(id, {}, withRole('use'))).rejects.toMatchObject({ code: 'forbidden' });
    await expect(rotate(id, {}, testPrincipal())).rejects.toMatchObject({ code: 'not_found' });
    await expect(rotate(newId(), {})).rejects.toMatchObject({ code: 'not_found' });
    await expect(rotate(id, { password: 'x' })).rejects.toMatchObject({ code: 'invalid' });
    const outcomes = await Promise.allSettled([1, 2].map(() => rotate(id, { password: canary() })));
    const versions = outcomes.map((outcome) =>
      outcome.status === 'fulfilled' ? outcome.value.version : (outcome.reason as { code: string }).code,
    );
    expect([
      [2, 'conflict'],
      ['conflict', 2],
      [2, 3],
      [3, 2],
    ]).toContainEqual(versions);
  });
});

describe('a grant', () => {
  it('hands the credentials to the pod that proves itself, sealed to its key', async () => {
    const secret = canary();
    const grant = await grantFor([
      await create('ssh', { username: 'deploy', password: secret }),
      await create('vault', { vault_password: `${secret}-v` }),
    ]);
    const one = await pod();
    const credentials = await one.open((await one.redeem(grant)).jwe);
    expect(credentials).toMatchObject({
      arguments: ['--user', 'deploy'],
      passwords: { connection: secret, become: null, vault: [{ id: null, password: `${secret}-v` }] },
      mask: [`${secret}-v`, secret],
    });
    expect((await eventsOf(grant)).map(({ type }) => type)).toEqual(['grant.created', 'grant.redeemed']);
  });

  it('answers the same key again, and refuses another with an alarm', async () => {
    const grant = await grantFor([await create('vault', { vault_password: 'opened twice' })]);
    const [one, two] = [await pod(), await pod()];
    await one.redeem(grant);
    expect((await one.open((await one.redeem(grant)).jwe)).passwords.vault).toHaveLength(1);
    await expect(two.redeem(grant)).rejects.toMatchObject({
      code: 'forbidden',
      details: { reason: 'already_redeemed' },
    });
    expect((await eventsOf(grant)).slice(1)).toEqual([
      { type: 'grant.redeemed', data: { ...grant, thumbprint: one.thumbprint } },
      {
        type: 'grant.redemption_refused',
        data: { ...grant, thumbprint: two.thumbprint, reason: 'already_redeemed' },
      },
    ]);
  });

  it('is won by exactly one of many keys that come at once', async () => {
    const grant = await grantFor([await create('vault', { vault_password: 'only one wins' })]);
    const outcomes = await Promise.allSettled(
      (await Promise.all(Array.from({ length: 4 }, pod))).map((one) => one.redeem(grant)),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect((await eventsOf(grant)).filter(({ type }) => type === 'grant.redeemed')).toHaveLength(1);
  });

  it("refuses another job's proof, and a grant that is not there", async () => {
    const grant = await grantFor([await create('vault', { vault_password: 'not for you' })]);
    const other = await pod();
    await expect(other.redeem(grant, randomBytes(32))).rejects.toMatchObject({
      code: 'forbidden',
      details: { reason: 'bad_proof' },
    });
    expect((await eventsOf(grant)).at(-1)).toMatchObject({
      type: 'grant.redemption_refused',
      data: { reason: 'bad_proof' },
    });
    await expect(other.redeem({ ...grant, epoch: 2 })).rejects.toMatchObject({ code: 'not_found' });
  });

  it('is over once closed, also for the key that redeemed it', async () => {
    const grant = await grantFor([await create('vault', { vault_password: 'over and done' })]);
    const one = await pod();
    await one.redeem(grant);
    await launcher.call(CloseGrant, grant);
    await launcher.call(CloseGrant, grant);
    await expect(one.redeem(grant)).rejects.toMatchObject({
      code: 'forbidden',
      details: { reason: 'closed' },
    });
    const { rows } = await asAdmin.query('select 1 from vault.grant_proof_key where job_id = $1', [
      grant.jobId,
    ]);
    expect(rows).toEqual([]);
  });

  it('without credentials gives none', async () => {
    const one = await pod();
    expect(await one.redeem(await grantFor([]))).toEqual({ jwe: null });
  });

  it('is made once, and not changed by making it again', async () => {
    const grant = { jobId: newId(), epoch: 1, credentials: [], proofKey: proofKey.toString('base64url') };
    await launcher.call(CreateGrant, grant);
    await launcher.call(CreateGrant, grant);
    const changed = { ...grant, proofKey: randomBytes(32).toString('base64url') };
    await expect(launcher.call(CreateGrant, changed)).rejects.toMatchObject({
      code: 'refused',
      details: { reason: 'grant_differs' },
    });
    const unknown = { ...grant, jobId: newId(), credentials: [{ id: newId(), version: 1 }] };
    await expect(launcher.call(CreateGrant, unknown)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('is not burnt when a ciphertext was tampered with', async () => {
    const id = await create('vault', { vault_password: 'tampered with' });
    const grant = await grantFor([id]);
    await asAdmin.query(
      'update vault.credential_secret set ciphertext = set_byte(ciphertext, 15, get_byte(ciphertext, 15) # 1) where credential_id = $1',
      [id],
    );
    await expect((await pod()).redeem(grant)).rejects.toMatchObject({ code: 'defect' });
    expect((await eventsOf(grant)).map(({ type }) => type)).toEqual(['grant.created']);
  });
});

describe('secrets', () => {
  it('are nowhere in the database or in NATS streams, in no form', async () => {
    const [password, become, phrase, vaultPassword] = [canary(), canary(), canary(), canary()];
    const key = sshKey(phrase);
    // Not secret: shows that the search finds what is there.
    const username = canary();
    const machine = {
      username,
      password,
      become_password: become,
      ssh_key_data: key,
      ssh_key_unlock: phrase,
    };
    const grant = await grantFor([
      await create('ssh', machine),
      await create('vault', { vault_password: vaultPassword }),
    ]);
    const one = await pod();
    const credentials = await one.open((await one.redeem(grant)).jwe);
    expect(credentials.mask).toEqual(expect.arrayContaining([password, become, phrase, vaultPassword]));

    const texts = [
      password,
      become,
      phrase,
      vaultPassword,
      key.split('\n')[2]!,
      proofKey.toString('base64url'),
    ];
    const forms = [...texts, proofKey.toString('latin1')].flatMap((text) => {
      const bytes = Buffer.from(text, text.length === 32 ? 'latin1' : 'utf8');
      return [
        text,
        bytes.toString('hex'),
        bytes.toString('base64').replace(/=+$/, ''),
        bytes.toString('base64url'),
      ];
    });
    const found = (where: string, content: string): string[] =>
      forms.filter((form) => content.includes(form)).map((form) => `${form} in ${where}`);

    const { rows: tables } = await asAdmin.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = 'vault'`,
    );
    expect(tables.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['vault.event_log', 'vault.credential_secret', 'vault.grant_proof_key']),
    );
    const stored: string[] = [];
    for (const { name } of tables) {
      const { rows } = await asAdmin.query<{ row: string }>(`select t::text as row from ${name} as t`);
      expect(rows.flatMap(({ row }) => found(name, row))).toEqual([]);
      stored.push(...rows.map(({ row }) => row));
    }
    expect(stored.join('\n')).toContain(username);

    const connection = await connectNats({ url: nats.url, name: 'test-reader' });
    const manager = await jetstreamManager(connection);
    const published = await eventually(
      async () => {
        const contents: string[] = [];
        for await (const { config, state } of manager.streams.list()) {
          for (let sequence = state.first_seq; sequence > 0 && sequence <= state.last_seq; sequence++) {
            const message = await manager.streams
              .getMessage(config.name, { seq: sequence })
              .catch(() => null);
            if (message)
              contents.push(
                `${message.subject} ${String(message.header)} ${Buffer.from(message.data).toString('latin1')}`,
              );
          }
        }
        return (
          contents.some((content) => content.includes('grant.redeemed') && content.includes(grant.jobId)) &&
          contents
        );
      },
      { what: 'the redemption to be published' },
    );
    await connection.close();
    expect(published.flatMap((content) => found('NATS', content))).toEqual([]);
    expect(published.join('\n')).toContain(username);
  });
});
