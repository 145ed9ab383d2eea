import { Module, type Type } from '@nestjs/common';
import {
  CompareInventories,
  CreateInventory,
  CreateJobTemplate,
  CreateProject,
  ListInventories,
  ListInventoryHosts,
  ListJobTemplates,
  ListProjects,
  ListTemplatesUsingEnvironment,
  PinProject,
  RepeatSnapshot,
  ReviseJobTemplate,
  SetProjectDefaultEnvironment,
  SnapshotInventory,
  StageInventory,
  SnapshotJobTemplate,
  SyncProject,
} from '@gantry/contracts/template';
import type { ServiceKit } from '@gantry/service/kit';
import { KIT, ServiceModule } from '@gantry/service/module';
import type { TemplatesConfig } from './config.js';
import type { TemplatesDeps } from './deps.js';
import { templatesUsing } from './execution-environments.js';
import {
  compareInventories,
  createInventory,
  hostsOfInventory,
  snapshotInventory,
} from './inventory.commands.js';
import { stageInventory } from './inventory.staging.js';
import { inventoryProjection, listInventories } from './inventory.projection.js';
import {
  createJobTemplate,
  repeatSnapshot,
  reviseJobTemplate,
  snapshotJobTemplate,
} from './job-template.commands.js';
import { jobTemplateProjection, listJobTemplates } from './job-template.projection.js';
import { createProject, pinProject, setProjectDefaultEnvironment, syncProject } from './project.commands.js';
import { createProjectSource } from './project-source.js';
import { listProjects, projectProjection } from './project.projection.js';
import { createReader } from './read-model.js';

/** Templates as a Nest module. */
export const templatesModule = (config: TemplatesConfig): Type => {
  @Module({
    imports: [ServiceModule.forRoot(config.base)],
    providers: [{ provide: 'Templates', inject: [KIT], useFactory: (kit: ServiceKit) => bind(kit, config) }],
  })
  class TemplatesModule {}
  return TemplatesModule;
};

const bind = (kit: ServiceKit, { git }: TemplatesConfig): TemplatesDeps => {
  const { pool, objects, logger, call } = kit;
  const log = kit.log!;
  const schema = log.schema;
  kit.project(projectProjection(schema));
  kit.project(jobTemplateProjection(schema));
  const deps: TemplatesDeps = {
    call,
    pool,
    log,
    objects,
    logger,
    read: createReader(kit),
    source: createProjectSource({ git: { ...git, signal: kit.signal }, objects, sql: pool, schema }),
    inventories: kit.project(inventoryProjection(schema)),
    allowFile: git.allowFile,
  };
  const fetches = new Set<Promise<unknown>>();
  const fetching = (work: Promise<unknown>): void => {
    const tracked = work.finally(() => fetches.delete(tracked));
    fetches.add(tracked);
  };
  kit.onStop(async () => void (await Promise.allSettled(fetches)));

  kit.handle(CreateProject, (input, context) => createProject(deps, input, context, fetching));
  kit.handle(SyncProject, (input, context) => syncProject(deps, input, context));
  kit.handle(SetProjectDefaultEnvironment, (input, context) =>
    setProjectDefaultEnvironment(deps, input, context),
  );
  kit.handle(ListTemplatesUsingEnvironment, (input, { principal }) =>
    templatesUsing(pool, schema, input, principal!),
  );
  kit.handle(PinProject, (input, context) => pinProject(deps, input, context));
  kit.handle(ListProjects, (input, { principal }) => listProjects(pool, schema, input, principal!));
  kit.handle(StageInventory, (input, context) => stageInventory(deps, input, context));
  kit.handle(CreateInventory, (input, context) => createInventory(deps, input, context));
  kit.handle(SnapshotInventory, (input) => snapshotInventory(deps, input));
  kit.handle(CompareInventories, (input) => compareInventories(deps, input));
  kit.handle(ListInventories, (input, { principal }) => listInventories(pool, schema, input, principal!));
  kit.handle(ListInventoryHosts, (input, context) => hostsOfInventory(deps, input, context));
  kit.handle(CreateJobTemplate, (input, context) => createJobTemplate(deps, input, context));
  kit.handle(ReviseJobTemplate, (input, context) => reviseJobTemplate(deps, input, context));
  kit.handle(SnapshotJobTemplate, (input, context) => snapshotJobTemplate(deps, input, context));
  kit.handle(RepeatSnapshot, (input, context) => repeatSnapshot(deps, input, context));
  kit.handle(ListJobTemplates, (input, { principal }) => listJobTemplates(pool, schema, input, principal!));
  return deps;
};
