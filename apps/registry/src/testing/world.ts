/** A registry service with real Postgres and NATS; vault, templates and identity are played as far as they are asked. */
import { fileURLToPath } from 'node:url';
import { connectNats, type NatsConnection } from '@gantry/bus/connect';
import type { OrganizationRole, Principal } from '@gantry/contracts/access';
import type { CommandSpec, InputOf, OutputOf, ReceivedBy } from '@gantry/contracts/command';
import { RegistryLogin } from '@gantry/contracts/credential';
import {
  CreateExecutionEnvironment,
  ListExecutionEnvironments,
  ResolveExecutionEnvironment,
  type EeCandidate,
  type ExecutionEnvironment,
  type ExecutionEnvironmentUser,
  type ResolvedImage,
} from '@gantry/contracts/ee';
import { PlatformError, toWire } from '@gantry/contracts/errors';
import { ListOrganizationsUsingEnvironment } from '@gantry/contracts/identity';
import { commandSubject } from '@gantry/contracts/subjects';
import { ListTemplatesUsingEnvironment } from '@gantry/contracts/template';
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
import { CompactEncrypt, importJWK } from 'jose';
import { RegistryModule } from '../app.module.js';
import type { RegistryConfig } from '../config.js';

/** The servers of a test, from the testkit; `close` of the world ends them. */
export interface Servers {
  database: { adminUrl: string; name: string; rolePrefix: string; drop(): Promise<void> };
  nats: { url: string; stop(): Promise<void> };
}

/** A login that the vault has. */
export interface KnownLogin {
  host: string;
  username: string;
  password: string;
  organizationId: string;
  verifySsl?: boolean;
}

/** Everything that a test of the registry service has. */
export interface World {
  organizationId: string;
  superuser: Principal;
  /** Somebody with these roles in the organization. */
  withRole(...roles: OrganizationRole[]): Principal;
  gateway: TestCaller;
  launcher: TestCaller;
  adminUrl: string;
  /** What the vault knows, by credential id. */
  logins: Map<string, KnownLogin>;
  /** What templates and identity know, by execution environment id. */
  users: Map<string, ExecutionEnvironmentUser[]>;
  /** How many users the asking person may not see. */
  hidden: Map<string, number>;
  start(change?: Partial<RegistryConfig>): Promise<RunningService>;
  list(principal?: Principal): Promise<ExecutionEnvironment[]>;
  show(id: string, principal?: Principal): Promise<ExecutionEnvironment>;
  /** Under a name of its own unless `more` has one. */
  create(
    image: string,
    more?: Partial<InputOf<typeof CreateExecutionEnvironment>>,
    principal?: Principal,
  ): Promise<string>;
  /** For a job of the organization; null: nothing names an execution environment. */
  resolve(id: string | null, principal?: Principal, candidate?: Partial<EeCandidate>): Promise<ResolvedImage>;
  close(): Promise<void>;
}

/** Starts everything but the service. */
export const createWorld = async ({ database, nats }: Servers): Promise<World> => {
  const issuer = await createTestIssuer();
  const urls = await provision({
    adminUrl: database.adminUrl,
    database: database.name,
    rolePrefix: database.rolePrefix,
    services: [
      {
        name: 'registry',
        password: 'test',
        migrationsDir: fileURLToPath(new URL('../../migrations/', import.meta.url)),
      },
    ],
  });
  const neighbours = await connectNats({ url: nats.url, name: 'neighbours' });
  const gateway = await createTestCaller({ natsUrl: nats.url, service: 'gateway', issuer });
  const launcher = await createTestCaller({ natsUrl: nats.url, service: 'launcher', issuer });
  const running: RunningService[] = [];
  const organizationId = newId();
  const superuser = testPrincipal({ superuser: true });
  const world: World = {
    organizationId,
    superuser,
    gateway,
    launcher,
    adminUrl: database.adminUrl,
    logins: new Map(),
    users: new Map(),
    hidden: new Map(),
    withRole: (...roles) => testPrincipal({ organizations: { [organizationId]: roles } }),
    start: async (change = {}) => {
      const config: RegistryConfig = {
        base: testConfig({
          service: 'registry',
          postgresUrl: urls['registry']!,
          natsUrl: nats.url,
          keys: issuer.keys,
        }),
        seed: { localImage: null, defaultIs: 'quay' },
        registries: { ca: null, mirrors: {} },
        platforms: ['linux/amd64'],
        lookupSeconds: 0,
        ...change,
      };
      const service = await startService(RegistryModule.forRoot(config), config.base);
      running.push(service);
      return service;
    },
    list: async (principal = superuser) =>
      (await gateway.call(ListExecutionEnvironments, {}, { principal })).items.map(({ node }) => node),
    show: async (id, principal = superuser) =>
      (await gateway.call(ListExecutionEnvironments, { ids: [id] }, { principal })).items[0]!.node,
    create: async (image, more = {}, principal = superuser) =>
      (
        await gateway.call(
          CreateExecutionEnvironment,
          { name: `ee ${newId()}`, image, ...more },
          { principal },
        )
      ).id,
    resolve: (id, principal = world.withRole('execute'), candidate = {}) =>
      launcher.call(
        ResolveExecutionEnvironment,
        {
          organizationId,
          candidates:
            id === null ? [] : [{ from: 'job_template' as const, executionEnvironmentId: id, ...candidate }],
        },
        { principal },
      ),
    close: async () => {
      await Promise.allSettled([gateway.close(), launcher.close(), ...running.map((each) => each.stop())]);
      await neighbours.close();
      await Promise.allSettled([nats.stop(), database.drop()]);
    },
  };
  play(neighbours, world);
  return world;
};

const play = (connection: NatsConnection, { logins, users, hidden }: World): void => {
  const answer = <C extends CommandSpec>(
    command: C,
    handler: (input: ReceivedBy<C>) => OutputOf<C> | Promise<OutputOf<C>>,
  ): void => {
    connection.subscribe(commandSubject(command), {
      callback: (_, message) =>
        void Promise.resolve()
          .then(() => handler(command.input.parse(message.json()) as ReceivedBy<C>))
          .then(
            (ok) => message.respond(JSON.stringify({ ok })),
            (error: unknown) => message.respond(JSON.stringify({ error: toWire(error) })),
          ),
    });
  };
  answer(RegistryLogin, async ({ credentialId, organizationId, host, publicKey }) => {
    const login = logins.get(credentialId);
    if (!login || (organizationId !== null && organizationId !== login.organizationId))
      throw new PlatformError('not_found', `There is no credential ${credentialId}.`);
    if (login.host !== host) {
      throw new PlatformError('refused', `The credential is for the registry ${login.host}.`, {
        details: { reason: 'registry_host' },
      });
    }
    const sealed = await new CompactEncrypt(Buffer.from(JSON.stringify({ password: login.password })))
      .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM' })
      .encrypt(await importJWK(publicKey, 'ECDH-ES'));
    return { username: login.username, verifySsl: login.verifySsl ?? true, sealed };
  });
  const ofKinds = (id: string, kinds: readonly string[]): ExecutionEnvironmentUser[] =>
    (users.get(id) ?? []).filter(({ kind }) => kinds.includes(kind));
  answer(ListTemplatesUsingEnvironment, ({ executionEnvironmentId: id }) => {
    const items = ofKinds(id, ['job_template', 'project']);
    return { items, totalCount: items.length + (hidden.get(id) ?? 0) };
  });
  answer(ListOrganizationsUsingEnvironment, ({ executionEnvironmentId: id }) => {
    const items = ofKinds(id, ['organization']);
    return { items, totalCount: items.length };
  });
};
