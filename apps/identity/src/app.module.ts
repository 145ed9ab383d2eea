import { Module, type Type } from '@nestjs/common';
import {
  CreateOrganization,
  CreateUser,
  GetDefaultEnvironments,
  GetKeys,
  GrantRole,
  IssueToken,
  ListOrganizations,
  ListOrganizationsUsingEnvironment,
  ListUsers,
  RevokeRole,
  RevokeToken,
  SetOrganizationDefaultEnvironment,
  VerifyToken,
} from '@gantry/contracts/identity';
import { systemContext } from '@gantry/service/context';
import type { ServiceKit } from '@gantry/service/kit';
import { KIT, ServiceModule } from '@gantry/service/module';
import { openSigner } from './adapters/signing-key.js';
import type { IdentityConfig } from './config.js';
import type { IdentityDeps } from './deps.js';
import { firstStart } from './first-start.js';
import { createOrganization, setOrganizationDefaultEnvironment } from './organization.commands.js';
import {
  defaultEnvironments,
  listOrganizations,
  organizationProjection,
  organizationsUsing,
} from './organization.projection.js';
import { createTokenCache } from './token-cache.js';
import { issueToken, revokeToken, verifyToken } from './token.commands.js';
import { recordUses, tokenProjection } from './token.projection.js';
import { changeRole, createUser } from './user.commands.js';
import { listUsers, userProjection } from './user.projection.js';

/** Identity as a Nest module. */
export const identityModule = (config: IdentityConfig): Type => {
  @Module({
    imports: [ServiceModule.forRoot(config.base)],
    providers: [{ provide: 'Identity', inject: [KIT], useFactory: (kit: ServiceKit) => bind(kit, config) }],
  })
  class IdentityModule {}
  return IdentityModule;
};

const bind = async (kit: ServiceKit, config: IdentityConfig): Promise<IdentityDeps> => {
  const log = kit.log!;
  const deps: IdentityDeps = {
    call: kit.call,
    pool: kit.pool,
    log,
    signer: await openSigner(config.signingKeyFile),
    cache: createTokenCache(),
  };
  for (const projection of [organizationProjection, userProjection, tokenProjection])
    kit.project(projection(log.schema));

  kit.handle(VerifyToken, (input) => verifyToken(deps, input));
  kit.handle(GetKeys, async () => ({ keys: deps.signer.keys }));
  kit.handle(CreateOrganization, (input, context) => createOrganization(deps, input, context));
  kit.handle(ListOrganizations, (input, { principal }) =>
    listOrganizations(kit.pool, log.schema, input, principal!),
  );
  kit.handle(SetOrganizationDefaultEnvironment, (input, context) =>
    setOrganizationDefaultEnvironment(deps, input, context),
  );
  kit.handle(GetDefaultEnvironments, (input) => defaultEnvironments(kit.pool, log.schema, input));
  kit.handle(ListOrganizationsUsingEnvironment, (input, { principal }) =>
    organizationsUsing(kit.pool, log.schema, input, principal!),
  );
  kit.handle(CreateUser, (input, context) => createUser(deps, input, context));
  kit.handle(ListUsers, (input, { principal }) => listUsers(kit.pool, log.schema, input, principal!));
  kit.handle(GrantRole, (input, context) => changeRole('grant', deps, input, context));
  kit.handle(RevokeRole, (input, context) => changeRole('revoke', deps, input, context));
  kit.handle(IssueToken, (input, context) => issueToken(deps, input, context));
  kit.handle(RevokeToken, (input, context) => revokeToken(deps, input, context));

  kit.onStart(async () => {
    const outcome = await firstStart(deps, config, systemContext(kit).meta());
    if (outcome !== 'nothing')
      kit.logger.info({ outcome, file: config.adminTokenFile }, "the administrator's token was written");
  });
  const noteUses = (): Promise<void> => recordUses(kit.pool, log.schema, deps.cache.takeUses());
  kit.every('token-use', 15_000, noteUses);
  kit.onStop(noteUses);
  return deps;
};
