/** Secrets of this installation: made once, kept in files that only its owner can read. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createUser, fromSeed } from '@nats-io/nkeys';
import type { NatsUser } from '@gantry/bus/server-config';
import { serviceNames } from '@gantry/contracts/command';
import { homePath, writeAtomically } from './home.js';

type Keep = (name: string, make: () => string) => { file: string; value: string };

/** The content of a secret file; made by `make` when there is none. */
const keepIn =
  (directory: string): Keep =>
  (name, make) => {
    const file = join(directory, name);
    if (!existsSync(file)) {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      writeAtomically(file, `${make()}\n`);
    }
    return { file, value: readFileSync(file, 'utf8').trim() };
  };

/** All secrets of an installation. */
export interface Secrets {
  postgresAdmin: string;
  /** Password of each service's role. */
  postgres: Record<string, string>;
  /** The nkey of each service, of the administrator who makes the streams, and of systems that read job events: the seed's file, and the public key for the server. */
  nats: Record<NatsUser, { seedFile: string; publicKey: string }>;
  podTokenKeyFile: string;
  vaultKeyFile: string;
  signingKeyFile: string;
}

/** Reads the secrets in a folder, making those that are missing. */
export const openSecrets = (directory = homePath('secrets')): Secrets => {
  const secret = keepIn(directory);
  const nkey = (name: NatsUser) => {
    const { file, value } = secret(`nats-${name}.nk`, () => new TextDecoder().decode(createUser().getSeed()));
    return { seedFile: file, publicKey: fromSeed(new TextEncoder().encode(value)).getPublicKey() };
  };
  return {
    postgresAdmin: secret('postgres-admin', password).value,
    postgres: Object.fromEntries(
      serviceNames
        .filter((name) => name !== 'gateway')
        .map((name) => [name, secret(`postgres-${name}`, password).value]),
    ),
    nats: Object.fromEntries(
      [...serviceNames, 'administrator' as const, 'reader' as const].map((name) => [name, nkey(name)]),
    ) as Secrets['nats'],
    podTokenKeyFile: secret('pod-token-key', () => randomBytes(32).toString('base64')).file,
    vaultKeyFile: secret('vault-keys', () => `k1 ${randomBytes(32).toString('base64')}`).file,
    // Made by identity itself: a JWK.
    signingKeyFile: join(directory, 'identity-signing-key.jwk'),
  };
};

const password = (): string => randomBytes(24).toString('base64url');
