/** Objects that the tests make for themselves, through the API. */
import { randomUUID } from 'node:crypto';
import { ask } from './api.js';

/** Ids of what the seed made. */
export interface Seeded {
  organizationId: string;
  projectId: string;
  inventoryId: string;
}

/** Finds the demo's organization, project and inventory. */
export const seeded = async (): Promise<Seeded> => {
  const data = await ask<
    Record<'organizations' | 'projects' | 'inventories', { nodes: { id: string; name: string }[] }>
  >(
    '{ organizations { nodes { id name } } projects { nodes { id name } } inventories { nodes { id name } } }',
  );
  const id = (list: { nodes: { id: string; name: string }[] }, name: string) =>
    list.nodes.find((node) => node.name === name)!.id;
  return {
    organizationId: id(data.organizations, 'Default'),
    projectId: id(data.projects, 'Demo Project'),
    inventoryId: id(data.inventories, 'Demo Inventory'),
  };
};

/** Makes something by a create mutation; answers its id. */
export const make = async (mutation: string, type: string, input: object): Promise<string> =>
  (
    await ask<{ made: { id: string } }>(
      `mutation ($input: ${type}!) { made: ${mutation}(input: $input) { id } }`,
      { input },
    )
  ).made.id;

/** Makes a job template over the demo's objects, under a name of its own; answers its name. */
export const makeTemplate = async (playbook: string, more: object = {}): Promise<string> => {
  const name = `test ${playbook} ${randomUUID()}`;
  await make('createJobTemplate', 'CreateJobTemplateInput', {
    ...(await seeded()),
    name,
    playbook,
    askOnLaunch: ['VARIABLES', 'LIMIT'],
    allowSimultaneous: true,
    ...more,
  });
  return name;
};
