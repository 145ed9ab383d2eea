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

/** What a template of the bench is over: the demo project and some hosts that are the pod itself. */
export interface TemplateSettings {
  name: string;
  playbook: string;
  hosts: number;
  scmBranch?: string;
  /** Variables of each host, by its number; none if left out. */
  hostVariables?: (index: number) => Record<string, unknown>;
  /** Groups that the hosts are dealt to; none if left out. */
  groups?: number;
  /** With the demo's machine credential, so that the vault has something to seal. */
  withCredential?: boolean;
}

/** Makes it; its id. */
export const makeTemplate = async (endpoint: Endpoint, template: TemplateSettings): Promise<string> => {
  const organizationId = await idByName(endpoint, 'organizations', 'Default');
  const names = Array.from({ length: template.hosts }, (_, index) => `host${index + 1}.example.com`);
  const groups = Math.min(template.groups ?? 0, template.hosts);
  const inventoryId = await make(endpoint, 'createInventory', 'CreateInventoryInput', {
    organizationId,
    name: `${template.name} hosts`,
    variables: {
      ansible_connection: 'local',
      ansible_python_interpreter: '{{ ansible_playbook_python }}',
    },
    hosts: names.map((name, index) => ({ name, variables: template.hostVariables?.(index) ?? {} })),
    groups: Array.from({ length: groups }, (_, group) => ({
      name: `group${group + 1}`,
      variables: { group_number: group },
      hosts: names.filter((_name, index) => index % groups === group),
    })),
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
    ...(template.withCredential && {
      credentialIds: [await idByName(endpoint, 'credentials', 'Demo Machine Credential')],
    }),
  });
};
