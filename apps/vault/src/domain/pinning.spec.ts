import type { Principal } from '@gantry/contracts/access';
import type { Credential } from '@gantry/contracts/credential';
import { describe, expect, it } from 'vitest';
import { checkPins } from './pinning.js';

const organizationId = '0b9e6a4e-5d0b-4c56-9b0d-0d6a3a3f0001';
let count = 0;
const credential = (credentialType: string, inputs: Record<string, unknown> = {}): Credential => ({
  id: `0b9e6a4e-5d0b-4c56-9b0d-0d6a3a3f1${String(count++).padStart(3, '0')}`,
  name: `${credentialType} ${count}`,
  description: '',
  organizationId,
  credentialType,
  version: 1,
  inputs,
  createdAt: '2026-01-01T00:00:00.000Z',
});
const someone = (...roles: Principal['organizations'][string]): Principal => ({
  userId: organizationId,
  tokenId: organizationId,
  username: 'ann',
  superuser: false,
  auditor: false,
  organizations: { [organizationId]: roles },
});
const none = new Set<string>();
const thrown = (...args: Parameters<typeof checkPins>): unknown => {
  try {
    checkPins(...args);
    return 'allowed';
  } catch (error) {
    const { code, details } = error as { code: string; details: { reason?: string } };
    return details.reason ?? code;
  }
};

describe('the credentials of a job', () => {
  it('may be one of each type, and vault passwords with different ids', () => {
    expect(
      thrown(
        [
          credential('ssh'),
          credential('vault', { vault_id: 'a' }),
          credential('vault', { vault_id: 'b' }),
          credential('vault'),
        ],
        none,
        someone(),
      ),
    ).toBe('allowed');
  });
  it('may not be two of one type', () => {
    expect(thrown([credential('ssh'), credential('ssh')], none, someone())).toBe('credential_type_twice');
    expect(thrown([credential('vault'), credential('vault', { vault_id: '' })], none, someone())).toBe(
      'vault_id_twice',
    );
  });
  it('may not be what Gantry keeps for itself', () => {
    expect(thrown([credential('scm')], none, someone())).toBe('credential_kind');
    expect(thrown([credential('registry')], none, someone('admin'))).toBe('credential_kind');
  });
});

describe('a prompted credential', () => {
  it('needs the use of it', () => {
    const chosen = credential('ssh');
    const outcomes = (['use', 'admin', 'read', 'execute', 'auditor', 'member'] as const).map((role) =>
      thrown([chosen], new Set([chosen.id]), someone(role)),
    );
    expect(outcomes).toEqual(['allowed', 'allowed', 'forbidden', 'forbidden', 'forbidden', 'not_found']);
  });
});
