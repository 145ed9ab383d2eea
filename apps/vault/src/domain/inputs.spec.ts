import { describe, expect, it } from 'vitest';
import { findType, typeDefinitions } from './credential-type.js';
import { checkInputs } from './inputs.js';

const machine = findType('ssh')!;
const messageOf = (work: () => unknown): string => {
  try {
    work();
    return 'accepted';
  } catch (error) {
    expect(error).toMatchObject({ code: 'invalid' });
    return (error as Error).message;
  }
};

describe('the table of credential types', () => {
  it('names only fields that exist', () => {
    for (const { type, inject, distinctBy } of typeDefinitions) {
      const known = type.fields.map((field) => field.id);
      const named = [
        ...type.required,
        ...(distinctBy ? [distinctBy] : []),
        ...Object.values(inject.arguments ?? {}),
        ...Object.values(inject.passwords ?? {}),
        ...Object.values(inject.vaultPassword ?? {}),
        ...Object.values(inject.sshKey ?? {}),
        ...Object.values(inject.environment ?? {}),
        ...Object.values(inject.extraVars ?? {}),
        ...(inject.files ?? []).map((file) => file.content),
      ];
      expect(known).toEqual(expect.arrayContaining(named));
      expect(new Set(known).size).toBe(known.length);
    }
  });

  it("has AWX's fields for a machine", () => {
    expect(machine.type.fields.map((field) => field.id)).toEqual([
      'username',
      'password',
      'ssh_key_data',
      'ssh_public_key_data',
      'ssh_key_unlock',
      'become_method',
      'become_username',
      'become_password',
    ]);
    expect(machine.type.fields.filter((field) => field.secret).map((field) => field.id)).toEqual([
      'password',
      'ssh_key_data',
      'ssh_public_key_data',
      'ssh_key_unlock',
      'become_password',
    ]);
  });
});

describe('inputs of a credential', () => {
  it('are kept apart: what is secret and what is not', () => {
    expect(
      checkInputs(machine, {
        username: 'deploy',
        password: 'hunter22',
        become_method: 'sudo',
        become_username: '',
      }),
    ).toEqual({
      plain: { username: 'deploy', become_method: 'sudo' },
      secret: { password: 'hunter22' },
    });
  });

  it('get the defaults of what was left out', () => {
    expect(checkInputs(findType('registry')!, {}).plain).toEqual({ host: 'quay.io', verify_ssl: true });
  });

  it('are refused with a field that the type does not have, which is not quoted', () => {
    expect(messageOf(() => checkInputs(machine, { 'hunter2-as-a-name': 'x' }))).toMatch(
      /^(?!.*hunter2).*become_password/,
    );
  });

  it('are refused without a field that is needed', () => {
    expect(messageOf(() => checkInputs(findType('vault')!, { vault_id: 'prod' }))).toBe(
      'Vault credential: vault_password is needed.',
    );
  });

  it.each([
    ['password', 'abc', 'shorter than 4'],
    ['password', '   a   ', 'shorter than 4'],
    ['password', 'two\nlines', 'one line'],
    ['password', '$encrypted$', 'needs the secret itself'],
    ['password', 'x'.repeat(8_193), 'at most 8192'],
    ['username', '--become', 'does not begin with "-"'],
    ['username', 7, 'is text'],
  ])('are refused when %s is %j: %s', (field, value, why) => {
    const message = messageOf(() => checkInputs(machine, { [field]: value }));
    expect(message).toContain(`${field} `);
    expect(message).toContain(why);
  });

  it('may say verify_ssl with a boolean alone', () => {
    expect(messageOf(() => checkInputs(findType('registry')!, { verify_ssl: 'yes' }))).toContain(
      'true or false',
    );
  });
});
