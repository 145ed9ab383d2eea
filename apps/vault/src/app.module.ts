import {
  CloseGrant,
  CreateCredential,
  CreateGrant,
  ListCredentialTypes,
  ListCredentials,
  PinCredentials,
  RedeemGrant,
  RegistryLogin,
  RotateCredential,
} from '@gantry/contracts/credential';
import { PlatformError } from '@gantry/contracts/errors';
import { identifier } from '@gantry/eventlog/sql';
import type { ServiceKit } from '@gantry/service/kit';
import { KIT, ServiceModule } from '@gantry/service/module';
import { Module, type DynamicModule } from '@nestjs/common';
import { loadKeyRing, type KeyRing } from './adapters/key-ring.js';
import { createSecretStore } from './adapters/secret-store.js';
import type { VaultConfig } from './config.js';
import { createCredential, pinCredentials, rotateCredential } from './credential.commands.js';
import { credentialProjection, listCredentials } from './credential.projection.js';
import { typeDefinitions } from './domain/credential-type.js';
import { endGrant, makeGrant, redeemGrant } from './grant.commands.js';
import { registryLogin } from './registry-login.js';
import type { Vault } from './vault.js';

/** The vault: credential types, credentials and one-time grants. */
@Module({})
export class VaultModule {
  static forRoot(config: VaultConfig): DynamicModule {
    return {
      module: VaultModule,
      imports: [ServiceModule.forRoot(config.base)],
      providers: [
        { provide: 'vault', inject: [KIT], useFactory: (kit: ServiceKit) => bindVault(kit, config) },
      ],
    };
  }
}

const bindVault = (kit: ServiceKit, config: VaultConfig): Vault => {
  const log = kit.log!;
  const store = createSecretStore(log.schema);
  let ring: KeyRing | undefined;
  const vault: Vault = {
    pool: kit.pool,
    log,
    table: `${identifier(log.schema)}.credential`,
    store,
    ring: () => {
      if (!ring) throw new PlatformError('unavailable', 'The vault has not read its keys yet.');
      return ring;
    },
  };
  kit.project(credentialProjection(vault.table));
  kit.onStart(async () => {
    ring = await loadKeyRing(config.keyFile, await store.keysInUse(kit.pool));
  });

  kit.handle(ListCredentialTypes, async () => ({ items: typeDefinitions.map(({ type }) => type) }));
  kit.handle(CreateCredential, (input, context) => createCredential(vault, input, context));
  kit.handle(RotateCredential, (input, context) => rotateCredential(vault, input, context));
  kit.handle(ListCredentials, (input, context) => listCredentials(vault, input, context.principal!));
  kit.handle(PinCredentials, (input, context) => pinCredentials(vault, input, context));
  kit.handle(RegistryLogin, (input, context) => registryLogin(vault, input, context));
  kit.handle(CreateGrant, (input, context) => makeGrant(vault, input, context));
  kit.handle(RedeemGrant, (input, context) => redeemGrant(vault, input, context));
  kit.handle(CloseGrant, (input, context) => endGrant(vault, input, context));
  return vault;
};
