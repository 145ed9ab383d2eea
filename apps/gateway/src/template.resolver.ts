import {
  CreateInventory,
  CreateJobTemplate,
  CreateProject,
  ListInventories,
  ListInventoryHosts,
  ListJobTemplates,
  ListProjects,
  SetProjectDefaultEnvironment,
  SyncProject,
  type Inventory,
  type JobTemplate,
  type Project,
  type Prompt,
} from '@gantry/contracts/template';
import type { InputOf } from '@gantry/contracts/command';
import { camelFromEnum, connectionOf, fromEnum, pageOf, toEnum } from './connection.js';
import type { GraphqlContext } from './context.js';
import { sendInventory } from './large-inventory.js';

type Context = GraphqlContext;
type Page = { first?: number; after?: string };
type Owned = { organizationId: string };
type JobTemplateInput = Omit<InputOf<typeof CreateJobTemplate>, 'jobType' | 'askOnLaunch'> & {
  jobType: string;
  askOnLaunch: string[];
};
type InventoryInput = InputOf<typeof CreateInventory>;

const organization = (object: Owned, _: unknown, { load }: Context) =>
  load.organization.load(object.organizationId);

/** GraphQL's null is the services' "left out". */
const variablesOr = <T extends { variables?: unknown }>(object: T): T => ({
  ...object,
  variables: object.variables ?? {},
});

/** Projects, inventories, job templates. */
export const templateResolvers = {
  Query: {
    jobTemplates: async (_: unknown, args: Page, { call }: Context) =>
      connectionOf(await call(ListJobTemplates, pageOf(args))),
    jobTemplate: (_: unknown, { id }: { id: string }, { load }: Context) => load.jobTemplate.load(id),
    projects: async (_: unknown, args: Page, { call }: Context) =>
      connectionOf(await call(ListProjects, pageOf(args))),
    project: (_: unknown, { id }: { id: string }, { load }: Context) => load.project.load(id),
    inventories: async (_: unknown, args: Page, { call }: Context) =>
      connectionOf(await call(ListInventories, pageOf(args))),
    inventory: (_: unknown, { id }: { id: string }, { load }: Context) => load.inventory.load(id),
  },
  Mutation: {
    createProject: async (
      _: unknown,
      { input }: { input: InputOf<typeof CreateProject> },
      { call, load }: Context,
    ) => load.project.load((await call(CreateProject, input)).id),
    syncProject: async (_: unknown, { id }: { id: string }, { call, load }: Context) => {
      await call(SyncProject, { id });
      return load.project.load(id);
    },
    setProjectDefaultEnvironment: async (
      _: unknown,
      { id, executionEnvironmentId = null }: { id: string; executionEnvironmentId?: string | null },
      { call, load }: Context,
    ) => {
      await call(SetProjectDefaultEnvironment, { id, executionEnvironmentId });
      return load.project.load(id);
    },
    createInventory: async (_: unknown, { input }: { input: InventoryInput }, { call, load }: Context) =>
      load.inventory.load(
        (
          await sendInventory(call, {
            ...variablesOr(input),
            hosts: input.hosts?.map(variablesOr),
            groups: input.groups?.map(variablesOr),
          })
        ).id,
      ),
    createJobTemplate: async (
      _: unknown,
      { input }: { input: JobTemplateInput },
      { call, load }: Context,
    ) => {
      const created = await call(CreateJobTemplate, {
        ...input,
        extraVars: input.extraVars ?? {},
        jobType: fromEnum<'run' | 'check'>(input.jobType),
        askOnLaunch: input.askOnLaunch.map((prompt) => promptOf(prompt)),
      });
      return load.jobTemplate.load(created.id);
    },
  },
  Project: { organization, status: (project: Project) => toEnum(project.status) },
  Inventory: {
    organization,
    hosts: async (inventory: Inventory, args: Page, { call }: Context) =>
      connectionOf(await call(ListInventoryHosts, { ...pageOf(args), inventoryId: inventory.id })),
  },
  JobTemplate: {
    organization,
    jobType: (template: JobTemplate) => toEnum(template.jobType),
    project: (template: JobTemplate, _: unknown, { load }: Context) => load.project.load(template.projectId),
    inventory: (template: JobTemplate, _: unknown, { load }: Context) =>
      template.inventoryId ? load.inventory.load(template.inventoryId) : null,
    executionEnvironment: (template: JobTemplate, _: unknown, { load }: Context) =>
      template.executionEnvironmentId
        ? load.executionEnvironment.load(template.executionEnvironmentId)
        : null,
    credentials: async (template: JobTemplate, _: unknown, { load }: Context) =>
      (await Promise.all(template.credentialIds.map((id) => load.credential.load(id)))).filter(
        (credential) => credential !== null,
      ),
    askOnLaunch: (template: JobTemplate) => template.askOnLaunch.map(toEnum),
  },
};

const promptOf = (value: string): Prompt => camelFromEnum<Prompt>(value);
