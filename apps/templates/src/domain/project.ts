/** A project: a git repository, and the commit it was last fetched at. Stream `project-<id>`. */
import type { EventOf } from '@gantry/contracts/envelope';
import { PlatformError } from '@gantry/contracts/errors';
import type {
  ProjectCreated,
  ProjectDefaultEnvironmentSet,
  ProjectSyncFailed,
  ProjectSynced,
} from '@gantry/contracts/template';
import { checkRef, parseGitAddress } from './git-address.js';

type Created = EventOf<typeof ProjectCreated>;
type Synced = EventOf<typeof ProjectSynced>;
type SyncFailed = EventOf<typeof ProjectSyncFailed>;
type DefaultEnvironmentSet = EventOf<typeof ProjectDefaultEnvironmentSet>;
export type ProjectEvent = Created | Synced | SyncFailed | DefaultEnvironmentSet;
export interface ProjectState {
  name: string;
  /** How the last sync went, null before the first. */
  last: Synced['data'] | SyncFailed['data'] | null;
  defaultEnvironmentId: string | null;
}
export type ProjectCommand =
  | { kind: 'create'; settings: Created['data']; allowFile: boolean }
  | ({ kind: 'synced' } & Omit<Synced['data'], 'projectId'> & { projectId: string })
  | ({ kind: 'failed' } & SyncFailed['data'])
  | ({ kind: 'set default environment' } & DefaultEnvironmentSet['data']);

/** Before the first event. */
export const initial: ProjectState | null = null;

/** State after an event. */
export const evolve = (state: ProjectState | null, event: ProjectEvent): ProjectState | null => {
  if (event.type === 'project.created') {
    const { name, defaultEnvironmentId = null } = event.data;
    return { name, last: null, defaultEnvironmentId };
  }
  if (event.type === 'project.default_environment_set')
    return state && { ...state, defaultEnvironmentId: event.data.executionEnvironmentId };
  return state && { ...state, last: event.data };
};

/** Events that follow from a command: a sync that found what the last one found says nothing new. Throws `invalid`, `refused`, `conflict`, `not_found`. */
export const decide = (state: ProjectState | null, command: ProjectCommand): ProjectEvent[] => {
  if (command.kind === 'create') {
    if (state) throw new PlatformError('conflict', `The project ${state.name} exists already.`);
    const { settings, allowFile } = command;
    parseGitAddress(settings.scmUrl, { allowFile });
    checkRef(settings.scmBranch);
    if (settings.credentialId) {
      throw new PlatformError(
        'refused',
        'Projects are fetched without a credential so far: leave out credentialId and use a repository that can be read without one.',
        {
          details: { reason: 'project_credential_unsupported', field: 'credentialId' },
        },
      );
    }
    return [{ type: 'project.created', version: 1, data: settings }];
  }
  if (!state) throw new PlatformError('not_found', `There is no project ${command.projectId}.`);
  const { last } = state;
  if (command.kind === 'set default environment') {
    const { projectId, executionEnvironmentId } = command;
    if (executionEnvironmentId === state.defaultEnvironmentId) return [];
    return [
      { type: 'project.default_environment_set', version: 1, data: { projectId, executionEnvironmentId } },
    ];
  }
  if (command.kind === 'failed') {
    const { projectId, branch, message } = command;
    if (last && 'message' in last && last.message === message && last.branch === branch) return [];
    return [{ type: 'project.sync_failed', version: 1, data: { projectId, branch, message } }];
  }
  const { projectId, branch, commit, archive, playbooks } = command;
  if (
    last &&
    'commit' in last &&
    last.commit === commit &&
    last.branch === branch &&
    last.archive.sha256 === archive.sha256
  )
    return [];
  return [{ type: 'project.synced', version: 1, data: { projectId, branch, commit, archive, playbooks } }];
};
