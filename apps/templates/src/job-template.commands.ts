/** Commands on job templates. */
import { authorize, can, type Action, type Principal } from '@gantry/contracts/access';
import type { OutputOf, ReceivedBy } from '@gantry/contracts/command';
import { PlatformError } from '@gantry/contracts/errors';
import {
  templateEvents,
  type CreateJobTemplate,
  type JobTemplateSettings,
  type RepeatSnapshot,
  type ReviseJobTemplate,
  type SnapshotJobTemplate,
} from '@gantry/contracts/template';
import { decideAndAppend } from '@gantry/service/aggregate';
import type { CallContext } from '@gantry/service/context';
import { once } from '@gantry/service/idempotency';
import type { TemplatesDeps } from './deps.js';
import { decide, evolve, initial } from './domain/job-template.js';
import { mergePrompts } from './domain/launch.js';
import { environmentsOf, mayName } from './execution-environments.js';
import { claimName } from './name-claim.js';
import { eventNumbering } from './new-events.js';
import { mayCreateIn } from './organization.js';
import type { InventoryRow, JobTemplateRow, ProjectRow } from './read-model.js';

const { JobTemplateCreated, JobTemplateRevised } = templateEvents;
const catalogue = { JobTemplateCreated, JobTemplateRevised };
const isId = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);

/** A new template; who makes it may use what it names. Credentials are checked by their owner at launch. */
export const createJobTemplate = async (
  deps: TemplatesDeps,
  { idempotencyKey: key, ...settings }: ReceivedBy<typeof CreateJobTemplate>,
  context: CallContext,
): Promise<OutputOf<typeof CreateJobTemplate>> => {
  const principal = context.principal!;
  const { pool, log } = deps;
  await mayCreateIn(deps, settings.organizationId, 'job templates', context);
  await checkNamed(deps, settings, context);
  return once({ pool, log }, { scope: `job_template.create:${principal.userId}`, key }, async (sql, id) => {
    const events = eventNumbering()(decide(initial, { kind: 'create', jobTemplateId: id, settings }));
    await claimName(sql, log.schema, {
      kind: 'job_template',
      organizationId: settings.organizationId,
      name: settings.name,
      id,
    });
    await log.appendIn(sql, `job_template-${id}`, 0, events, context.meta());
  });
};

/** All settings anew. */
export const reviseJobTemplate = async (
  deps: TemplatesDeps,
  { id, expectedVersion = null, ...settings }: ReceivedBy<typeof ReviseJobTemplate>,
  context: CallContext,
): Promise<OutputOf<typeof ReviseJobTemplate>> => {
  const principal = context.principal!;
  const { log } = deps;
  const template = await deps.read.jobTemplate(id);
  if (!template || !can(principal, 'read', template.organizationId)) throw notFound('job template', id);
  authorize(principal, 'admin', template.organizationId, `the job template ${template.name}`);
  if (settings.organizationId !== template.organizationId)
    await mayCreateIn(deps, settings.organizationId, 'job templates', context);
  await checkNamed(deps, settings, context);
  const number = eventNumbering();
  const { version } = await decideAndAppend({
    log,
    stream: `job_template-${id}`,
    initial,
    evolve,
    decide: (state, now) =>
      number(decide(state, { kind: 'revise', jobTemplateId: id, settings, version: now, expectedVersion })),
    catalogue,
    meta: context.meta(),
    inTransaction: (sql) =>
      claimName(sql, log.schema, {
        kind: 'job_template',
        organizationId: settings.organizationId,
        name: settings.name,
        id,
      }),
  });
  return { version };
};

/** What a job will run: by the launching person's rights, with the prompts merged in. */
export const snapshotJobTemplate = async (
  deps: TemplatesDeps,
  { jobTemplate: wanted, prompts }: ReceivedBy<typeof SnapshotJobTemplate>,
  context: CallContext,
): Promise<OutputOf<typeof SnapshotJobTemplate>> => {
  const principal = context.principal!;
  const template = await findTemplate(deps, wanted, principal);
  authorize(principal, 'execute', template.organizationId, `the job template ${template.name}`);
  const { askOnLaunch: _, ...merged } = mergePrompts(template.settings, prompts);
  const [project, inventory] = await Promise.all([
    deps.read.project(merged.projectId),
    deps.read.inventory(merged.inventoryId),
  ]);
  if (!project) throw notFound('project', merged.projectId);
  // Whoever may run the template may run it on what it names; what else they name themselves they must be allowed to use.
  if (merged.inventoryId !== template.settings.inventoryId)
    mayUse('inventory', merged.inventoryId, inventory, principal);
  if (!inventory) throw notFound('inventory', merged.inventoryId);
  const prompted =
    Boolean(prompts.executionEnvironmentId) && template.settings.askOnLaunch.includes('executionEnvironment');
  return {
    ...merged,
    executionEnvironments: await environmentsOf(deps, { ...merged, prompted, project, inventory }, context),
    jobTemplateId: template.id,
    jobTemplateVersion: template.version,
    projectName: project.name,
    inventoryName: inventory.name,
  };
};

/** A past job's snapshot once more. Executing the template covers what it names today; whatever else the past job used, one must be able to use today. */
export const repeatSnapshot = async (
  deps: TemplatesDeps,
  { snapshot: past, changes }: ReceivedBy<typeof RepeatSnapshot>,
  context: CallContext,
): Promise<OutputOf<typeof RepeatSnapshot>> => {
  const principal = context.principal!;
  const template = await deps.read.jobTemplate(past.jobTemplateId);
  if (!template || !may(principal, ['read', 'execute'], template.organizationId))
    throw notFound('job template', past.jobTemplateId);
  authorize(principal, 'execute', template.organizationId, `the job template ${template.name}`);
  authorize(principal, 'execute', past.organizationId, `the job template ${past.name} as it was`);
  const { askOnLaunch, projectId, inventoryId, credentialIds } = template.settings;
  const { askOnLaunch: _, ...merged } = mergePrompts({ ...past, askOnLaunch }, changes);
  const [project, inventory] = await Promise.all([
    deps.read.project(merged.projectId),
    deps.read.inventory(merged.inventoryId),
  ]);
  if (merged.projectId !== projectId) mayUse('project', merged.projectId, project, principal);
  if (merged.inventoryId !== inventoryId) mayUse('inventory', merged.inventoryId, inventory, principal);
  if (!project) throw notFound('project', merged.projectId);
  if (!inventory) throw notFound('inventory', merged.inventoryId);
  const snapshot = { ...past, ...merged, inventoryName: inventory.name };
  if (merged.executionEnvironmentId !== past.executionEnvironmentId) {
    const asked = { ...merged, prompted: true, project, inventory };
    snapshot.executionEnvironments = await environmentsOf(deps, asked, context);
  }
  return { snapshot, ownCredentials: credentialIds };
};

const findTemplate = async (
  { read }: TemplatesDeps,
  wanted: string,
  principal: Principal,
): Promise<JobTemplateRow> => {
  const found = isId(wanted) ? await read.jobTemplate(wanted) : null;
  const named = found ? [found] : await read.jobTemplatesNamed(wanted);
  const known = named.filter(({ organizationId }) => may(principal, ['read', 'execute'], organizationId));
  const launchable = known.filter(({ organizationId }) => can(principal, 'execute', organizationId));
  if (launchable.length > 1) {
    throw new PlatformError(
      'invalid',
      `${launchable.length} organizations have a job template called ${wanted}: name it by its id.`,
      {
        details: { ids: launchable.map(({ id }) => id) },
      },
    );
  }
  const template = launchable[0] ?? known[0];
  if (!template) throw notFound('job template', wanted);
  return template;
};

const checkNamed = async (
  deps: TemplatesDeps,
  settings: JobTemplateSettings,
  context: CallContext,
): Promise<void> => {
  const { read } = deps;
  const principal = context.principal!;
  const inventoryId = settings.inventoryId ?? null;
  const [project, inventory] = await Promise.all([
    read.project(settings.projectId),
    inventoryId === null ? null : read.inventory(inventoryId),
  ]);
  mayUse('project', settings.projectId, project, principal);
  if (inventoryId !== null) mayUse('inventory', inventoryId, inventory, principal);
  const { organizationId, executionEnvironmentId: id } = settings;
  if (id) await mayName(deps, { id, organizationId, field: 'executionEnvironmentId' }, context);
};

/** What one may not even read is answered as if it were not there. */
const mayUse = (
  noun: 'project' | 'inventory',
  id: string,
  row: ProjectRow | InventoryRow | null,
  principal: Principal,
): void => {
  if (!row || !may(principal, ['read', 'use'], row.organizationId)) throw notFound(noun, id);
  authorize(principal, 'use', row.organizationId, `the ${noun} ${row.name}`);
};

const may = (principal: Principal, actions: readonly Action[], organizationId: string): boolean =>
  actions.some((action) => can(principal, action, organizationId));

const notFound = (noun: string, id: string): PlatformError =>
  new PlatformError('not_found', `There is no ${noun} ${id}.`);
