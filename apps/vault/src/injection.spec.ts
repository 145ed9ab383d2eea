import { describe, expect, it } from 'vitest';
import { findType, type TypeDefinition } from './domain/credential-type.js';
import { injectCredentials, type OpenCredential } from './injection.js';
import { Secret } from './secret.js';

const open = (
  definition: TypeDefinition,
  plain: Record<string, unknown>,
  secret: Record<string, string>,
): OpenCredential => ({
  name: `my ${definition.type.id}`,
  definition,
  plain,
  secret: Object.fromEntries(Object.entries(secret).map(([field, text]) => [field, new Secret(text)])),
});
const key =
  '-----BEGIN OPENSSH PRIVATE KEY-----\r\nAAAAline-one\r\nBBBBline-two\r\n-----END OPENSSH PRIVATE KEY-----';

describe('the credentials of a job', () => {
  it('are empty where a machine credential is', () => {
    expect(injectCredentials([open(findType('ssh')!, {}, {})])).toEqual({
      environment: {},
      files: [],
      sshKeys: [],
      passwords: { connection: null, become: null, vault: [] },
      arguments: [],
      extraVars: {},
      mask: [],
    });
  });

  it('hold what a machine credential and two vault passwords give', () => {
    const result = injectCredentials([
      open(
        findType('ssh')!,
        { username: 'deploy', become_method: 'sudo', become_username: 'root' },
        {
          password: 'login-secret',
          become_password: 'become-secret',
          ssh_key_data: key,
          ssh_key_unlock: 'key-phrase',
        },
      ),
      open(findType('vault')!, { vault_id: 'prod' }, { vault_password: 'vault-prod' }),
      open(findType('vault')!, {}, { vault_password: 'vault-plain' }),
    ]);
    expect(result.arguments).toEqual([
      '--user',
      'deploy',
      '--become-method',
      'sudo',
      '--become-user',
      'root',
    ]);
    expect(result.passwords).toEqual({
      connection: 'login-secret',
      become: 'become-secret',
      vault: [
        { id: 'prod', password: 'vault-prod' },
        { id: null, password: 'vault-plain' },
      ],
    });
    expect(result.sshKeys).toEqual([
      {
        name: 'my ssh',
        privateKey: `${key.replaceAll('\r', '')}\n`,
        passphrase: 'key-phrase',
        certificate: null,
      },
    ]);
  });

  it('mask every secret, whole and line by line, longest first, and no PEM boundary', () => {
    const { mask } = injectCredentials([
      open(findType('ssh')!, { username: 'deploy' }, { password: 'secret', ssh_key_data: key }),
    ]);
    expect(mask).toEqual([key, 'AAAAline-one', 'BBBBline-two', 'secret']);
  });

  it('come from the table alone: a type is a matter of data', () => {
    const cloud: TypeDefinition = {
      type: { id: 'cloud', name: 'Cloud', kind: 'cloud', fields: [], required: [] },
      forJobs: true,
      inject: {
        environment: { CLOUD_USER: 'username', CLOUD_KEY: 'key', CLOUD_NONE: 'unset' },
        files: [{ name: 'ca.pem', content: 'ca', environment: 'CLOUD_CA' }],
        extraVars: { cloud_user: 'username' },
      },
    };
    expect(
      injectCredentials([open(cloud, { username: 'me' }, { key: 'cloud-key', ca: 'certificate' })]),
    ).toMatchObject({
      environment: { CLOUD_USER: 'me', CLOUD_KEY: 'cloud-key' },
      files: [{ name: 'ca.pem', content: 'certificate', environment: 'CLOUD_CA' }],
      extraVars: { cloud_user: 'me' },
    });
  });
});
