import { randomBytes } from 'node:crypto';
import fs, { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connectNats } from '@gantry/bus/connect';
import { CreateCredential, RegistryLogin } from '@gantry/contracts/credential';
import { provision } from '@gantry/eventlog/migrate';
import { startService, type RunningService } from '@gantry/service/boot';
import { newId } from '@gantry/service/context';
import { askRegistryLogin } from '@gantry/service/registry-login';
import {
  createTestCaller,
  createTestIssuer,
  testConfig,
  testPrincipal,
  type TestCaller,
} from '@gantry/service/testing';
import { startNats, type NatsServer } from '@gantry/testkit/nats';
import { freshDatabase, type FreshDatabase } from '@gantry/testkit/postgres';
import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { VaultModule } from './app.module.js';

const organizationId = newId();
const admin = testPrincipal({ organizations: { [organizationId]: ['admin'] } });
const password = `canary-${randomBytes(9).toString('hex')}`;

let directory: string;
let database: FreshDatabase;
let nats: NatsServer;
let service: RunningService;
let gateway: TestCaller;
let launcher: TestCaller;
let tap: NatsConnection;
/** Everything that any client of the server sent, replies too. */
const heard: string[] = [];
/** Everything this process wrote, its log among it. */
const written: string[] = [];

beforeAll(async () => {
  const writeSync = fs.writeSync as (...args: unknown[]) => number;
  vi.spyOn(fs, 'writeSync').mockImplementation((...args: unknown[]) => {
    if (args[0] !== 1) return writeSync(...args);
    written.push(String(args[1]));
    return Buffer.byteLength(String(args[1]));
  });
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
    logLevel: 'trace',
  });
  service = await startService(VaultModule.forRoot({ base, keyFile: join(directory, 'vault.key') }), base);
  tap = await connectNats({ url: nats.url, name: 'tap' });
  tap.subscribe('>', {
    callback: (_, message) => {
      heard.push(`${message.subject} ${Buffer.from(message.data).toString('latin1')}`);
    },
  });
  await tap.flush();
  const caller = (name: 'gateway' | 'launcher') =>
    createTestCaller({ natsUrl: nats.url, service: name, issuer });
  [gateway, launcher] = await Promise.all([caller('gateway'), caller('launcher')]);
});
afterAll(async () => {
  await Promise.allSettled([gateway?.close(), launcher?.close(), tap?.close()]);
  await service?.stop();
  await Promise.allSettled([nats?.stop(), database?.drop()]);
  rmSync(directory, { recursive: true, force: true });
});
beforeEach(async () => {
  await tap.flush();
  heard.length = written.length = 0;
});

const create = async (credentialType: string, inputs: Record<string, unknown>): Promise<string> =>
  (
    await gateway.call(
      CreateCredential,
      { name: `c ${newId()}`, organizationId, credentialType, inputs },
      { principal: admin },
    )
  ).id;
const ask = (credentialId: string, question: { organizationId?: string | null; host?: string } = {}) =>
  askRegistryLogin((command, input, context) => launcher.call(command, input, context), {
    credentialId,
    organizationId,
    host: 'registry.example:5000',
    ...question,
  });
const login = { host: 'https://registry.example:5000/', username: 'robot', password };

describe('the login for a registry', () => {
  it('is given to the service that asks for the registry of the credential, and its password is not on any wire or in any log', async () => {
    const id = await create('registry', login);
    await tap.flush();
    heard.length = 0;
    expect(await ask(id)).toEqual({ username: 'robot', password, verifySsl: true });
    expect(await ask(id, { organizationId: null })).toMatchObject({ password });
    await tap.flush();
    const forms = [password, ...[0, 1, 2].map((shift) => aligned(password, shift))];
    // The taps work: the question, its answer and the line about it are there.
    expect(heard.join('\n')).toContain('registry_login');
    expect(heard.join('\n')).toContain('"sealed":"ey');
    expect(written.join('\n')).toContain('a registry login was handed out');
    for (const form of forms) {
      expect(heard.join('\n')).not.toContain(form);
      expect(written.join('\n')).not.toContain(form);
    }
  });

  it('says whether the certificate is to be checked, and may be without a name', async () => {
    const id = await create('registry', { host: 'registry.example:5000', verify_ssl: false });
    expect(await ask(id)).toEqual({ username: '', password: '', verifySsl: false });
  });

  it('is not for another registry', async () => {
    const id = await create('registry', login);
    for (const host of ['registry.example', 'registry.example:5001', 'evil.example', 'docker.io']) {
      await expect(ask(id, { host })).rejects.toMatchObject({
        code: 'refused',
        details: { reason: 'registry_host' },
        message: expect.stringContaining(`is not sent to ${host}`),
      });
    }
  });

  it("is not for another organization's execution environment, which learns nothing of it", async () => {
    const id = await create('registry', login);
    const [foreign, unknown] = await Promise.all(
      [ask(id, { organizationId: newId() }), ask(newId())].map((answer) =>
        answer.catch((error: Error) => error.message.replace(/[0-9a-f-]{36}/, 'ID')),
      ),
    );
    expect(foreign).toEqual(unknown);
    await expect(ask(id, { organizationId: newId() })).rejects.toMatchObject({ code: 'not_found' });
  });

  it('is not made of a credential of another type', async () => {
    const id = await create('ssh', { username: 'robot', password });
    await expect(ask(id)).rejects.toMatchObject({ code: 'refused', details: { reason: 'credential_kind' } });
  });

  it('is sealed to a key, or not given', async () => {
    const credentialId = await create('registry', login);
    for (const publicKey of [{}, { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) }]) {
      const answer = launcher.call(RegistryLogin, {
        credentialId,
        organizationId,
        host: 'registry.example:5000',
        publicKey,
      });
      await expect(answer).rejects.toMatchObject({ code: 'invalid' });
    }
  });
});

/** The middle of a text's base64, at one of its three alignments. */
const aligned = (text: string, shift: number): string =>
  Buffer.from(' '.repeat(shift) + text)
    .toString('base64')
    .slice(4, -4);
