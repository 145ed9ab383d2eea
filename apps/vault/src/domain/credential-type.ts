/**
 * The credential types: what may be filled in, and what a job gets of it. A type is one entry of the table below and
 * nothing else. Fields are AWX's (24.6.1), so that what was exported there fits here.
 */
import type { CredentialType } from '@gantry/contracts/credential';

/** Where a credential's fields go in a job; every name on the right is a field's id. Fields that are not set are left out. */
export interface Injection {
  /** Two arguments for ansible-playbook each: the flag and the field's value. */
  arguments?: Record<string, string>;
  /** Answers to Ansible's prompts. */
  passwords?: { connection?: string; become?: string };
  /** A vault password and, if set, its id. */
  vaultPassword?: { password: string; id: string };
  /** A key for the job's ssh-agent. */
  sshKey?: { privateKey: string; passphrase: string; certificate: string };
  /** Environment variables. */
  environment?: Record<string, string>;
  /** Files on the pod's memory volume; `environment` is the variable that gets the path. */
  files?: { name: string; content: string; environment?: string }[];
  extraVars?: Record<string, string>;
}

/** A credential type and what it does. */
export interface TypeDefinition {
  type: CredentialType;
  /** False for what Gantry itself uses (to fetch a project, to pull an image): a job may not hold it. */
  forJobs: boolean;
  /** The field in which two credentials of this type in one job must differ; without one a job holds at most one. */
  distinctBy?: string;
  inject: Injection;
}

type Field = CredentialType['fields'][number];
type FieldSettings = Partial<Omit<Field, 'id' | 'label'>>;
const field = (id: string, label: string, settings: FieldSettings = {}): Field => ({
  id,
  label,
  type: 'string',
  secret: false,
  multiline: false,
  helpText: '',
  ...settings,
});
const secret = (id: string, label: string, settings: FieldSettings = {}) =>
  field(id, label, { secret: true, ...settings });
const privateKey = () =>
  secret('ssh_key_data', 'SSH private key', { multiline: true, format: 'ssh_private_key' });
const passphrase = () => secret('ssh_key_unlock', 'Passphrase of the private key');

const machine: TypeDefinition = {
  type: {
    id: 'ssh',
    name: 'Machine',
    kind: 'ssh',
    fields: [
      field('username', 'Username', { helpText: 'Whom Ansible logs in as.' }),
      secret('password', 'Password'),
      privateKey(),
      secret('ssh_public_key_data', 'Signed SSH certificate', { multiline: true }),
      passphrase(),
      field('become_method', 'Privilege escalation method', {
        helpText: 'How Ansible becomes another user: sudo, su, doas...',
      }),
      field('become_username', 'Privilege escalation username'),
      secret('become_password', 'Privilege escalation password'),
    ],
    required: [],
  },
  forJobs: true,
  inject: {
    arguments: {
      '--user': 'username',
      '--become-method': 'become_method',
      '--become-user': 'become_username',
    },
    passwords: { connection: 'password', become: 'become_password' },
    sshKey: { privateKey: 'ssh_key_data', passphrase: 'ssh_key_unlock', certificate: 'ssh_public_key_data' },
  },
};

const ansibleVault: TypeDefinition = {
  type: {
    id: 'vault',
    name: 'Vault',
    kind: 'vault',
    fields: [
      secret('vault_password', 'Vault password'),
      field('vault_id', 'Vault identifier', {
        helpText: 'Needed when a job holds several vault credentials.',
      }),
    ],
    required: ['vault_password'],
  },
  forJobs: true,
  distinctBy: 'vault_id',
  inject: { vaultPassword: { password: 'vault_password', id: 'vault_id' } },
};

const sourceControl: TypeDefinition = {
  type: {
    id: 'scm',
    name: 'Source Control',
    kind: 'scm',
    fields: [
      field('username', 'Username'),
      secret('password', 'Password or token'),
      privateKey(),
      passphrase(),
    ],
    required: [],
  },
  forJobs: false,
  inject: {},
};

const containerRegistry: TypeDefinition = {
  type: {
    id: 'registry',
    name: 'Container Registry',
    kind: 'registry',
    fields: [
      field('host', 'Registry', {
        default: 'quay.io',
        helpText: 'Host of the registry, with a port if it has one.',
      }),
      field('username', 'Username'),
      secret('password', 'Password or token'),
      field('verify_ssl', 'Verify TLS', { type: 'boolean', default: true }),
    ],
    required: ['host'],
  },
  forJobs: false,
  inject: {},
};

/** Every credential type, in the order in which they are shown. */
export const typeDefinitions: readonly TypeDefinition[] = [
  machine,
  ansibleVault,
  sourceControl,
  containerRegistry,
];

/** The definition of a type; undefined for an id that is none. */
export const findType = (id: string): TypeDefinition | undefined =>
  typeDefinitions.find((definition) => definition.type.id === id);
