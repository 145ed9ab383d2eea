/**
 * The demo's objects, made the way everybody makes theirs: GraphQL mutations, each with an idempotency key, so that seeding again
 * makes nothing twice.
 */
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import sshpk from 'sshpk';
import { request, type Endpoint } from './client.js';
import { demoProjectUrl } from './git.part.js';
import { homePath, writeAtomically } from './home.js';

/** The job template that `gantry demo` launches. */
export const DEMO_TEMPLATE = 'Demo Job Template';

/** Private key of the demo's machine credential; the public one lies beside it, for a host that shall be managed. */
export const DEMO_KEY_FILE = homePath('secrets', 'demo-ssh-key');

const LOCAL_HOST_VARIABLES = {
  ansible_connection: 'local',
  ansible_python_interpreter: '{{ ansible_playbook_python }}',
};

interface Made {
  made: { id: string };
}

/** Makes organization-owned demo objects: a project, two inventories, a machine credential and the templates over them. */
export const seedDemo = async (endpoint: Endpoint, gitPort: number): Promise<void> => {
  const { organizations } = await request<{ organizations: { nodes: { id: string; name: string }[] } }>(
    endpoint,
    '{ organizations(first: 200) { nodes { id name } } }',
  );
  const organizationId = organizations.nodes.find((organization) => organization.name === 'Default')!.id;
  const make = async (mutation: string, type: string, input: Record<string, unknown>): Promise<string> => {
    const idempotencyKey = `demo:${mutation}:${String(input['name'])}`;
    const document = `mutation ($input: ${type}!) { made: ${mutation}(input: $input) { id } }`;
    return (await request<Made>(endpoint, document, { input: { organizationId, idempotencyKey, ...input } }))
      .made.id;
  };
  const template = (name: string, description: string, playbook: string, more: Record<string, unknown>) =>
    make('createJobTemplate', 'CreateJobTemplateInput', {
      name,
      description,
      playbook,
      projectId,
      askOnLaunch: ['VARIABLES', 'LIMIT'],
      allowSimultaneous: true,
      ...more,
    });
  const projectId = await make('createProject', 'CreateProjectInput', {
    name: 'Demo Project',
    description: 'The playbooks of examples/demo-project, from a git server on this machine.',
    scmUrl: demoProjectUrl(gitPort),
    scmBranch: 'main',
  });
  // The example may have changed since: what a launch runs is what was fetched last.
  await request(endpoint, 'mutation ($id: ID!) { syncProject(id: $id) { commit } }', { id: projectId });
  const inventoryId = await make('createInventory', 'CreateInventoryInput', {
    name: 'Demo Inventory',
    description: 'Three hosts that are the pod itself.',
    variables: LOCAL_HOST_VARIABLES,
    hosts: ['web1', 'web2', 'db1'].map((name) => ({ name })),
    groups: [
      { name: 'web', hosts: ['web1', 'web2'] },
      { name: 'db', hosts: ['db1'] },
    ],
  });
  await template(
    DEMO_TEMPLATE,
    'Facts, a loop, a change, a skip and a rescued failure on three hosts.',
    'site.yml',
    { inventoryId },
  );
  await template(
    'Demo Slow',
    'Prints its progress for a while: watch it live, cancel it, restart Gantry under it.',
    'slow.yml',
    { inventoryId },
  );
  await template('Demo Failing', 'Fails on purpose, to see how a failure looks.', 'fails.yml', {
    inventoryId,
  });
  await template('Demo Chatty', 'Prints as many lines as you ask for: -e items=1000', 'chatty.yml', {
    inventoryId,
  });
  await seedSsh(make, template);
};

type Make = (mutation: string, type: string, input: Record<string, unknown>) => Promise<string>;
type MakeTemplate = (
  name: string,
  description: string,
  playbook: string,
  more: Record<string, unknown>,
) => Promise<string>;

/** The second template manages a host over SSH with a private key that only the vault and the pod see. */
const seedSsh = async (make: Make, template: MakeTemplate): Promise<void> => {
  const credentialId = await make('createCredential', 'CreateCredentialInput', {
    name: 'Demo Machine Credential',
    description: `Logs in as "ansible" with the key whose public half is ${DEMO_KEY_FILE}.pub`,
    credentialType: 'ssh',
    inputs: { username: 'ansible', ssh_key_data: demoPrivateKey() },
  });
  const inventoryId = await make('createInventory', 'CreateInventoryInput', {
    name: 'Demo SSH Inventory',
    description: 'One host, reached over SSH at ssh_host and ssh_port.',
    hosts: [
      {
        name: 'managed1',
        variables: {
          ansible_host: '{{ ssh_host }}',
          ansible_port: '{{ ssh_port }}',
          ansible_python_interpreter: '/usr/bin/python3',
        },
      },
    ],
  });
  await template(
    'Demo SSH Template',
    'Manages a host over SSH: give it with -e ssh_host=... -e ssh_port=22',
    'ssh.yml',
    {
      inventoryId,
      credentialIds: [credentialId],
      extraVars: { ssh_host: '127.0.0.1', ssh_port: 22 },
    },
  );
};

const demoPrivateKey = (): string => {
  if (!existsSync(DEMO_KEY_FILE)) {
    const { privateKey } = generateKeyPairSync('ed25519');
    const key = sshpk.parsePrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' }), 'pem');
    key.comment = 'gantry-demo';
    writeAtomically(DEMO_KEY_FILE, key.toString('openssh'));
    writeAtomically(`${DEMO_KEY_FILE}.pub`, `${key.toPublic().toString('ssh')}\n`, 0o644);
  }
  return readFileSync(DEMO_KEY_FILE, 'utf8');
};
