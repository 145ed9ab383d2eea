/** Secrets of this installation: made once, kept in files that only its owner can read. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createUser, fromSeed } from '@nats-io/nkeys';
import { serviceNames, type ServiceName } from '@gantry/contracts/command';
import { homePath, writeAtomically } from './home.js';

/** The content of a secret file; made by `make` when there is none. */
const secret = (name: string, make: () => string): { file: string; value: string } => {
  const file = homePath('secrets', name);
  if (!existsSync(file)) {
    mkdirSync(homePath('secrets'), { recursive: true, mode: 0o700 });
    writeAtomically(file, `${make()}\n`);
  }
  return { file, value: readFileSync(file, 'utf8').trim() };
};

/** All secrets of an installation. */
export interface Secrets {
  postgresAdmin: string;
  /** Password of each service's role. */
  postgres: Record<string, string>;
  /** Each service's nkey: the seed's file, and the public key for the server. */
  nats: Record<ServiceName, { seedFile: string; publicKey: string }>;
  podTokenKeyFile: string;
  vaultKeyFile: string;
  signingKeyFile: string;
}

/** Reads the secrets, making those that are missing. */
export const openSecrets = (): Secrets => ({
  postgresAdmin: secret('postgres-admin', password).value,
  postgres: Object.fromEntries(serviceNames.filter((name) => name !== 'gateway').map((name) => [name, secret(`postgres-${name}`, password).value])),
  nats: Object.fromEntries(
    serviceNames.map((name) => {
      const { file, value } = secret(`nats-${name}.nk`, () => new TextDecoder().decode(createUser().getSeed()));
      return [name, { seedFile: file, publicKey: fromSeed(new TextEncoder().encode(value)).getPublicKey() }];
    }),
  ) as Secrets['nats'],
  podTokenKeyFile: secret('pod-token-key', () => randomBytes(32).toString('base64')).file,
  vaultKeyFile: secret('vault-keys', () => `k1 ${randomBytes(32).toString('base64')}`).file,
  // Made by identity itself: a JWK.
  signingKeyFile: homePath('secrets', 'identity-signing-key.jwk'),
});

const password = (): string => randomBytes(24).toString('base64url');
