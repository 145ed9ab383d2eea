import { givenFor } from '@gantry/testkit/given';
import { describe, it } from 'vitest';
import * as organization from './organization.js';
import * as token from './token.js';
import * as user from './user.js';

const [userId, organizationId, tokenId] = ['u', 'o', 't'];
const created: user.UserEvent = {
  type: 'user.created',
  version: 1,
  data: { userId, username: 'ann', email: null, superuser: false, auditor: false },
};
const granted: user.UserEvent = {
  type: 'user.role_granted',
  version: 1,
  data: { userId, organizationId, role: 'execute' },
};
const revoked: user.UserEvent = {
  type: 'user.role_revoked',
  version: 1,
  data: { userId, organizationId, role: 'execute' },
};

describe('a user', () => {
  const given = givenFor<user.UserState | null, user.UserCommand, user.UserEvent>({ ...user });
  const grant: user.UserCommand = { kind: 'grant', userId, organizationId, role: 'execute' };

  it('is created once', () => {
    const create: user.UserCommand = {
      kind: 'create',
      userId,
      username: 'ann',
      email: null,
      superuser: false,
      auditor: false,
    };
    given([]).when(create).then([created]);
    given([created]).when(create).thenThrows('conflict');
  });
  it('is given a role once', () => {
    given([created]).when(grant).then([granted]);
    given([created, granted]).when(grant).thenNothing();
    given([created, granted, revoked]).when(grant).then([granted]);
  });
  it('loses a role that it holds', () => {
    given([created, granted])
      .when({ ...grant, kind: 'revoke' })
      .then([revoked]);
    given([created])
      .when({ ...grant, kind: 'revoke' })
      .thenNothing();
  });
  it('that is not there has no roles', () => {
    given([]).when(grant).thenThrows('not_found');
  });
});

describe('a token', () => {
  const given = givenFor<token.TokenState | null, token.TokenCommand, token.TokenEvent>({ ...token });
  const data = { tokenId, userId, description: '', sha256: 'aa', expiresAt: null };
  const issued: token.TokenEvent = { type: 'token.issued', version: 1, data };
  const gone: token.TokenEvent = { type: 'token.revoked', version: 1, data: { tokenId } };

  it('is issued once and revoked once', () => {
    given([])
      .when({ kind: 'issue', ...data })
      .then([issued]);
    given([issued])
      .when({ kind: 'issue', ...data })
      .thenThrows('conflict');
    given([issued]).when({ kind: 'revoke', tokenId }).then([gone]);
    given([issued, gone]).when({ kind: 'revoke', tokenId }).thenNothing();
    given([]).when({ kind: 'revoke', tokenId }).thenThrows('not_found');
  });
});

describe('an organization', () => {
  it('is created once', () => {
    const given = givenFor<
      organization.OrganizationState,
      organization.OrganizationCommand,
      organization.OrganizationEvent
    >({ ...organization });
    const command = { kind: 'create', organizationId, name: 'Default', description: '' } as const;
    const event: organization.OrganizationEvent = {
      type: 'organization.created',
      version: 1,
      data: { organizationId, name: 'Default', description: '' },
    };
    given([]).when(command).then([event]);
    given([event]).when(command).thenThrows('conflict');
  });

  it('has the default execution environment that was set last', () => {
    const given = givenFor<
      organization.OrganizationState,
      organization.OrganizationCommand,
      organization.OrganizationEvent
    >({ ...organization });
    const created: organization.OrganizationEvent = {
      type: 'organization.created',
      version: 1,
      data: { organizationId, name: 'Default', description: '' },
    };
    const set = (executionEnvironmentId: string | null): organization.OrganizationEvent => ({
      type: 'organization.default_environment_set',
      version: 1,
      data: { organizationId, executionEnvironmentId },
    });
    const command = (executionEnvironmentId: string | null) =>
      ({ kind: 'set default environment', organizationId, executionEnvironmentId }) as const;
    given([created])
      .when(command('e'))
      .then([set('e')]);
    given([created, set('e')])
      .when(command('e'))
      .thenNothing();
    given([created, set('e')])
      .when(command(null))
      .then([set(null)]);
    given([]).when(command('e')).thenThrows('not_found');
  });
});
