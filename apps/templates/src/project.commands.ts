/** Commands on projects. */
import { authorize, can } from '@gantry/contracts/access';
import type { OutputOf, ReceivedBy } from '@gantry/contracts/command';
import type { Meta } from '@gantry/contracts/envelope';
import { PlatformError, isPlatformError } from '@gantry/contracts/errors';
import {
  templateEvents,
  type CreateProject,
  type PinProject,
  type SetProjectDefaultEnvironment,
  type SyncProject,
} from '@gantry/contracts/template';
import { decideAndAppend } from '@gantry/service/aggregate';
import type { CallContext } from '@gantry/service/context';
import { once } from '@gantry/service/idempotency';
import type { TemplatesDeps } from './deps.js';
import { decide, evolve, initial, type ProjectCommand } from './domain/project.js';
import { mayName } from './execution-environments.js';
import { claimName } from './name-claim.js';
import { eventNumbering } from './new-events.js';
import { mayCreateIn } from './organization.js';
import type { Pinned, Repository } from './project-source.js';
import type { ProjectRow } from './read-model.js';

const { ProjectCreated, ProjectSynced, ProjectSyncFailed, ProjectDefaultEnvironmentSet } = templateEvents;
const catalogue = { ProjectCreated, ProjectSynced, ProjectSyncFailed, ProjectDefaultEnvironmentSet };

/** Creates a project and begins to fetch it; `fetching` gets the fetch, whose outcome will be in the project. */
export const createProject = async (
  deps: TemplatesDeps,
  { idempotencyKey: key, ...settings }: ReceivedBy<typeof CreateProject>,
  context: CallContext,
  fetching: (work: Promise<unknown>) => void,
): Promise<OutputOf<typeof CreateProject>> => {
  const principal = context.principal!;
  const { pool, log, allowFile } = deps;
  await mayCreateIn(deps, settings.organizationId, 'projects', context);
  const { organizationId, defaultEnvironmentId: environmentId } = settings;
  if (environmentId)
    await mayName(deps, { id: environmentId, organizationId, field: 'defaultEnvironmentId' }, context);
  const outcome = await once(
    { pool, log },
    { scope: `project.create:${principal.userId}`, key },
    async (sql, id) => {
      const events = eventNumbering()(
        decide(initial, { kind: 'create', settings: { projectId: id, ...settings }, allowFile }),
      );
      await claimName(sql, log.schema, {
        kind: 'project',
        organizationId: settings.organizationId,
        name: settings.name,
        id,
      });
      await log.appendIn(sql, `project-${id}`, 0, events, context.meta());
    },
  );
  if (outcome.created) {
    const project = {
      id: outcome.id,
      name: settings.name,
      scmUrl: settings.scmUrl,
      scmBranch: settings.scmBranch,
    };
    const work = sync(deps, project, context.meta()).catch((error: unknown) => {
      // The project says why; only what it cannot say is worth a line.
      if (!isPlatformError(error) || error.code !== 'refused')
        context.logger.warn(
          { project: outcome.id, err: error },
          'the first fetch of a project was broken off',
        );
    });
    fetching(work);
  }
  return outcome;
};

/** Fetches now. The outcome is in the project too. */
export const syncProject = async (
  deps: TemplatesDeps,
  { id }: ReceivedBy<typeof SyncProject>,
  context: CallContext,
): Promise<OutputOf<typeof SyncProject>> => {
  const project = await deps.read.project(id);
  if (!project || !can(context.principal!, 'read', project.organizationId)) throw notFound(id);
  authorize(context.principal!, 'update', project.organizationId, `the project ${project.name}`);
  return { commit: (await sync(deps, project, context.meta())).commit };
};

/** Execution environment of its jobs whose template names none. */
export const setProjectDefaultEnvironment = async (
  deps: TemplatesDeps,
  { id, executionEnvironmentId }: ReceivedBy<typeof SetProjectDefaultEnvironment>,
  context: CallContext,
): Promise<OutputOf<typeof SetProjectDefaultEnvironment>> => {
  const project = await deps.read.project(id);
  if (!project || !can(context.principal!, 'read', project.organizationId)) throw notFound(id);
  authorize(context.principal!, 'admin', project.organizationId, `the project ${project.name}`);
  if (executionEnvironmentId) {
    const { organizationId } = project;
    await mayName(
      deps,
      { id: executionEnvironmentId, organizationId, field: 'defaultEnvironmentId' },
      context,
    );
  }
  const command = { kind: 'set default environment', projectId: project.id, executionEnvironmentId } as const;
  await record(deps, project.id, command, context.meta());
  return {};
};

/** Branch to commit to stored archive, for the launcher. */
export const pinProject = async (
  deps: TemplatesDeps,
  { projectId, scmBranch }: ReceivedBy<typeof PinProject>,
  context: CallContext,
): Promise<OutputOf<typeof PinProject>> => {
  const project = await deps.read.project(projectId);
  if (!project) throw notFound(projectId);
  const { commit, branch, archive, collectionsLock } = await pin(
    deps,
    project,
    scmBranch || project.scmBranch,
    context.meta(),
  );
  return { commit, branch, archive, collectionsLock };
};

const pin = (deps: TemplatesDeps, project: ProjectRow, ref: string, meta: Meta): Promise<Pinned> => {
  if (ref === project.scmBranch) {
    if (project.scmUpdateOnLaunch || project.commit === null) return sync(deps, project, meta);
    return deps.source.known(project, { commit: project.commit, branch: project.syncedBranch ?? ref });
  }
  // A full commit id never means something else later.
  if (/^[0-9a-f]{40}$/.test(ref)) return deps.source.known(project, { commit: ref, branch: ref });
  return deps.source.fetched(project, ref);
};

/** Fetches the project's own branch and writes down how it went. */
const sync = async (
  deps: TemplatesDeps,
  project: Repository & { scmBranch: string },
  meta: Meta,
): Promise<Pinned> => {
  const projectId = project.id;
  try {
    const pinned = await deps.source.fetched(project, project.scmBranch);
    const playbooks = await deps.source.playbooks(project, pinned.commit);
    const { commit, branch, archive } = pinned;
    await record(deps, projectId, { kind: 'synced', projectId, commit, branch, archive, playbooks }, meta);
    return pinned;
  } catch (error) {
    if (isPlatformError(error) && error.code === 'refused') {
      await record(
        deps,
        projectId,
        { kind: 'failed', projectId, branch: project.scmBranch, message: error.message },
        meta,
      );
    }
    throw error;
  }
};

const record = async (
  { log }: TemplatesDeps,
  projectId: string,
  command: ProjectCommand,
  meta: Meta,
): Promise<void> => {
  const number = eventNumbering();
  await decideAndAppend({
    log,
    stream: `project-${projectId}`,
    initial,
    evolve,
    decide: (state) => number(decide(state, command)),
    catalogue,
    meta,
  });
};

const notFound = (id: string): PlatformError => new PlatformError('not_found', `There is no project ${id}.`);
