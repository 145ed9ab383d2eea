/** What cases need in the measured Gantry: templates of their own, made as everybody makes theirs. */
import { randomUUID } from 'node:crypto';
import { request, type Endpoint } from '../client.js';

const idByName = async (endpoint: Endpoint, plural: string, name: string): Promise<string> => {
  const found = await request<Record<string, { nodes: { id: string; name: string }[] }>>(
    endpoint,
    `{ ${plural}(first: 200) { nodes { id name } } }`,
  );
  return found[plural]!.nodes.find((node) => node.name === name)!.id;
};

const make = async (
  endpoint: Endpoint,
  mutation: string,
  type: string,
  input: Record<string, unknown>,
): Promise<string> => {
  const { made } = await request<{ made: { id: string } }>(
    endpoint,
    `mutation ($input: ${type}!) { made: ${mutation}(input: $input) { id } }`,
    { input: { idempotencyKey: randomUUID(), ...input } },
  );
  return made.id;
};

/** A template over the demo project and some hosts that are the pod itself; its id. */
export const makeTemplate = async (
  endpoint: Endpoint,
  template: { name: string; playbook: string; hosts: number; scmBranch?: string },
): Promise<string> => {
  const organizationId = await idByName(endpoint, 'organizations', 'Default');
  const inventoryId = await make(endpoint, 'createInventory', 'CreateInventoryInput', {
    organizationId,
    name: `${template.name} hosts`,
    variables: {
      ansible_connection: 'local',
      ansible_python_interpreter: '{{ ansible_playbook_python }}',
    },
    hosts: Array.from({ length: template.hosts }, (_, index) => ({ name: `host${index + 1}.example.com` })),
  });
  return make(endpoint, 'createJobTemplate', 'CreateJobTemplateInput', {
    organizationId,
    inventoryId,
    projectId: await idByName(endpoint, 'projects', 'Demo Project'),
    name: template.name,
    playbook: template.playbook,
    scmBranch: template.scmBranch ?? '',
    askOnLaunch: ['VARIABLES'],
    allowSimultaneous: true,
  });
};
