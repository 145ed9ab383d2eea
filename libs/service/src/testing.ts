/** For int tests of services: boot one, and call it as another service would, in a person's name. */
import { connectNats, type NatsConnection } from '@gantry/bus/connect';
import type { Principal } from '@gantry/contracts/access';
import type { CommandSpec, InputOf, OutputOf, ServiceName } from '@gantry/contracts/command';
import { SignJWT, exportJWK, generateKeyPair } from 'jose';
import { ASSERTION_SECONDS, assertionClaims } from './assertion.js';
import { createCall, type CallerContext } from './command-client.js';
import type { BaseConfig } from './config.js';
import { newId } from './context.js';

/** Stands in for identity: its keys go into `config.keys`. */
export interface TestIssuer {
  keys: { keys: Record<string, unknown>[] };
  assertionFor(principal: Principal, options?: { seconds?: number }): Promise<string>;
}

/** An issuer with a fresh Ed25519 key. */
export const createTestIssuer = async (): Promise<TestIssuer> => {
  const { publicKey, privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519' });
  const kid = newId();
  return {
    keys: { keys: [{ ...(await exportJWK(publicKey)), kid, alg: 'EdDSA', use: 'sig' }] },
    assertionFor: (principal, { seconds = ASSERTION_SECONDS } = {}) =>
      new SignJWT({ principal })
        .setProtectedHeader({ alg: 'EdDSA', kid })
        .setIssuer(assertionClaims.issuer)
        .setAudience(assertionClaims.audience)
        .setIssuedAt()
        .setExpirationTime(Math.floor(Date.now() / 1_000) + seconds)
        .sign(privateKey),
  };
};

/** Somebody with these rights; nobody in particular when left out. */
export const testPrincipal = (rights: Partial<Principal> = {}): Principal => ({
  userId: newId(),
  username: 'tester',
  superuser: false,
  auditor: false,
  organizations: {},
  tokenId: newId(),
  ...rights,
});

/** A config for `startService`: a free port for health, no log unless asked for (GANTRY_TEST_LOG in the caller). */
export const testConfig = (
  settings: Pick<BaseConfig, 'service' | 'postgresUrl' | 'natsUrl'> & Partial<BaseConfig>,
): BaseConfig => ({
  http: { host: '127.0.0.1', port: 0 },
  logLevel: 'silent',
  logFormat: 'json',
  lagAlarmSeconds: 30,
  ...settings,
});

/** Another service, as far as the one under test can see. */
export interface TestCaller {
  /** With `principal`, signs an assertion for them. Throws as `Call` does. */
  call<C extends CommandSpec>(
    command: C,
    input: InputOf<C>,
    context?: CallerContext & { principal?: Principal },
  ): Promise<OutputOf<C>>;
  /** Its connection. */
  readonly nats: NatsConnection;
  close(): Promise<void>;
}

/** Connects to NATS as `service` (with its key when the server wants one). */
export const createTestCaller = async (settings: {
  natsUrl: string;
  service: ServiceName;
  issuer?: TestIssuer;
  seedFile?: string;
}): Promise<TestCaller> => {
  const { natsUrl, service, issuer, seedFile } = settings;
  const nats = await connectNats({ url: natsUrl, name: `test-${service}`, service, seedFile });
  const call = createCall(nats, service);
  return {
    call: async (command, input, { principal, ...context } = {}) =>
      call(
        command,
        input,
        principal && issuer ? { ...context, assertion: await issuer.assertionFor(principal) } : context,
      ),
    nats,
    close: () => nats.close(),
  };
};
