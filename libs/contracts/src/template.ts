/** Templates: projects, inventories and job templates. Streams `project-<id>`, `inventory-<id>`, `job_template-<id>`. */
import { z } from 'zod';
import { command, Created, Id, IdempotencyKey, Name, pageOf, PageRequest } from './command.js';
import { EeCandidate, ExecutionEnvironmentUsers } from './ee.js';
import { event } from './envelope.js';

/** Bytes that are stored once, by what they are. */
export const StoredObject = z.object({
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  sizeBytes: z.number().int(),
});
/** Bytes in the object store. */
export type StoredObject = z.output<typeof StoredObject>;

/** Variables of a host, a group, an inventory or a launch. */
export const Variables = z.record(z.string(), z.unknown());

const ProjectSettings = z.object({
  name: Name,
  description: z.string().max(10_000).default(''),
  organizationId: Id,
  scmType: z.literal('git').default('git'),
  scmUrl: z.string().max(2_000),
  /** Branch, tag or commit; empty = the remote's default branch. */
  scmBranch: z.string().max(500).default(''),
  credentialId: Id.nullish(),
  /** Fetch again at every launch; else a launch uses the last synced commit. */
  scmUpdateOnLaunch: z.boolean().default(false),
  /** Execution environment of its jobs whose template names none. */
  defaultEnvironmentId: Id.nullish(),
});
/** A project exists from here on. */
export const ProjectCreated = event('project.created', 1, ProjectSettings.extend({ projectId: Id }));
/** Fetched: what the branch meant, and the archive of it. */
export const ProjectSynced = event(
  'project.synced',
  1,
  z.object({
    projectId: Id,
    branch: z.string(),
    commit: z.string(),
    archive: StoredObject,
    playbooks: z.array(z.string()),
  }),
);
/** Not fetched; git's own words. */
export const ProjectSyncFailed = event(
  'project.sync_failed',
  1,
  z.object({ projectId: Id, branch: z.string(), message: z.string() }),
);
/** Its jobs whose template names no execution environment run in this one; null: in their organization's default. */
export const ProjectDefaultEnvironmentSet = event(
  'project.default_environment_set',
  1,
  z.object({ projectId: Id, executionEnvironmentId: Id.nullable() }),
);

/** A host or group name: what Ansible takes, without patterns' special characters. */
const InventoryName = z
  .string()
  .min(1)
  .max(512)
  .regex(/^[^\s,:!&*{}[\]'"]+$/, 'a host or group name has no spaces and none of , : ! & * { } [ ] \' "');
const Host = z.object({
  name: InventoryName,
  variables: Variables.default({}),
  enabled: z.boolean().default(true),
});
const Group = z.object({
  name: InventoryName,
  variables: Variables.default({}),
  hosts: z.array(InventoryName).default([]),
  children: z.array(InventoryName).default([]),
});
const InventorySettings = z.object({
  name: Name,
  description: z.string().max(10_000).default(''),
  organizationId: Id,
  variables: Variables.default({}),
});
/** An inventory exists from here on, empty. */
export const InventoryCreated = event('inventory.created', 1, InventorySettings.extend({ inventoryId: Id }));
/** Hosts were added. */
export const InventoryHostsAdded = event(
  'inventory.hosts_added',
  1,
  z.object({ inventoryId: Id, hosts: z.array(Host) }),
);
/** Groups were added. */
export const InventoryGroupsAdded = event(
  'inventory.groups_added',
  1,
  z.object({ inventoryId: Id, groups: z.array(Group) }),
);

/** What a launch may change: AWX's ask_*_on_launch flags. */
export const prompts = [
  'variables',
  'limit',
  'inventory',
  'credentials',
  'executionEnvironment',
  'scmBranch',
  'tags',
  'skipTags',
  'verbosity',
  'forks',
  'jobType',
  'diffMode',
  'timeout',
] as const;
/** Something that a launch may change. */
export type Prompt = (typeof prompts)[number];

const JobTemplateSettings = z.object({
  name: Name,
  description: z.string().max(10_000).default(''),
  organizationId: Id,
  jobType: z.enum(['run', 'check']).default('run'),
  projectId: Id,
  inventoryId: Id.nullish(),
  playbook: z.string().min(1).max(1_000),
  scmBranch: z.string().max(500).default(''),
  credentialIds: z.array(Id).max(50).default([]),
  executionEnvironmentId: Id.nullish(),
  extraVars: Variables.default({}),
  limit: z.string().max(10_000).default(''),
  /** 0 = Ansible's own default (5). */
  forks: z.number().int().min(0).max(200).default(0),
  verbosity: z.number().int().min(0).max(5).default(0),
  jobTags: z.string().max(10_000).default(''),
  skipTags: z.string().max(10_000).default(''),
  diffMode: z.boolean().default(false),
  becomeEnabled: z.boolean().default(false),
  /** 0 = no limit. */
  timeoutSeconds: z.number().int().min(0).max(31_536_000).default(0),
  allowSimultaneous: z.boolean().default(false),
  askOnLaunch: z.array(z.enum(prompts)).default([]),
});
/** Everything that a job template says. */
export type JobTemplateSettings = z.output<typeof JobTemplateSettings>;
/** A job template exists from here on, at version 1. */
export const JobTemplateCreated = event(
  'job_template.created',
  1,
  JobTemplateSettings.extend({ jobTemplateId: Id }),
);
/** All settings anew; the stream's version is the template's version. */
export const JobTemplateRevised = event(
  'job_template.revised',
  1,
  JobTemplateSettings.extend({ jobTemplateId: Id }),
);

/** Every event in templates' log. */
export const templateEvents = {
  ProjectCreated,
  ProjectSynced,
  ProjectSyncFailed,
  ProjectDefaultEnvironmentSet,
  InventoryCreated,
  InventoryHostsAdded,
  InventoryGroupsAdded,
  JobTemplateCreated,
  JobTemplateRevised,
};

/** A project, as queries give it. */
export const Project = ProjectSettings.extend({
  id: Id,
  status: z.enum(['never_updated', 'successful', 'failed']),
  commit: z.string().nullable(),
  playbooks: z.array(z.string()),
  lastError: z.string().nullable(),
  syncedAt: z.string().nullable(),
  createdAt: z.string(),
});
/** A project, as queries give it. */
export type Project = z.output<typeof Project>;
/** An inventory, as queries give it. */
export const Inventory = InventorySettings.extend({
  id: Id,
  totalHosts: z.number().int(),
  totalGroups: z.number().int(),
  createdAt: z.string(),
});
/** An inventory, as queries give it. */
export type Inventory = z.output<typeof Inventory>;
/** A host, as queries give it. */
export const InventoryHost = Host.extend({ inventoryId: Id });
/** A host, as queries give it. */
export type InventoryHost = z.output<typeof InventoryHost>;
/** A job template, as queries give it. */
export const JobTemplate = JobTemplateSettings.extend({
  id: Id,
  version: z.number().int(),
  createdAt: z.string(),
});
/** A job template, as queries give it. */
export type JobTemplate = z.output<typeof JobTemplate>;

/** What a launch asks for beyond the template. A value for something the template does not prompt for is refused with its name. */
export const LaunchPrompts = z.object({
  extraVars: Variables.nullish(),
  limit: z.string().max(10_000).nullish(),
  inventoryId: Id.nullish(),
  credentialIds: z.array(Id).max(50).nullish(),
  executionEnvironmentId: Id.nullish(),
  scmBranch: z.string().max(500).nullish(),
  jobTags: z.string().max(10_000).nullish(),
  skipTags: z.string().max(10_000).nullish(),
  verbosity: z.number().int().min(0).max(5).nullish(),
  forks: z.number().int().min(0).max(200).nullish(),
  jobType: z.enum(['run', 'check']).nullish(),
  diffMode: z.boolean().nullish(),
  timeoutSeconds: z.number().int().min(0).nullish(),
});
/** What a launch asks for beyond the template. */
export type LaunchPrompts = z.output<typeof LaunchPrompts>;

/** What a job will run: the template at its version with the prompts merged in. Never a secret. */
export const LaunchSnapshot = JobTemplateSettings.omit({ inventoryId: true, askOnLaunch: true }).extend({
  jobTemplateId: Id,
  jobTemplateVersion: z.number().int(),
  inventoryId: Id,
  projectName: z.string(),
  inventoryName: z.string(),
  /** Whom the job's execution environment may come from, in AWX's order; not told by jobs of before 2026-11. */
  executionEnvironments: z.array(EeCandidate).optional(),
});
/** What a job will run. */
export type LaunchSnapshot = z.output<typeof LaunchSnapshot>;

/** Errors of the creating commands: forbidden, not_found (something they name), conflict (name taken), invalid. */
export const CreateProject = command('templates.project.create', {
  callers: ['gateway'],
  input: ProjectSettings.extend({ idempotencyKey: IdempotencyKey.nullish() }),
  output: Created,
});
/** Fetches now. The outcome is in the project; `refused` with git's own words if it failed. */
export const SyncProject = command('templates.project.sync', {
  callers: ['gateway'],
  timeoutMilliseconds: 120_000,
  input: z.object({ id: Id }),
  output: z.object({ commit: z.string() }),
});
/** For administrators of the project's organization, who may use the execution environment. Errors: not_found, forbidden, refused (another organization's). */
export const SetProjectDefaultEnvironment = command('templates.project.set_default_environment', {
  callers: ['gateway'],
  input: z.object({ id: Id, executionEnvironmentId: Id.nullable() }),
  output: z.object({}),
});
/** Job templates and projects that name an execution environment: those that the person may see, and how many in all. */
export const ListTemplatesUsingEnvironment = command('templates.execution_environment.users', {
  callers: ['registry'],
  principal: true,
  input: z.object({ executionEnvironmentId: Id }),
  output: ExecutionEnvironmentUsers,
});
/** Projects that the caller may see, by name. */
export const ListProjects = command('templates.project.list', {
  callers: ['gateway'],
  input: PageRequest.extend({ ids: z.array(Id).max(200).nullish() }),
  output: pageOf(Project),
});
/** The hosts and groups of an inventory. */
export const InventoryContents = z.object({
  hosts: z.array(Host).max(100_000).default([]),
  groups: z.array(Group).max(10_000).default([]),
});
/** The hosts and groups of an inventory, as they are given. */
export type InventoryContents = z.input<typeof InventoryContents>;
/** Bytes of one piece of staged contents: in base64 well below the megabyte that NATS takes in a message. */
export const STAGED_BYTES = 384 * 1024;
/**
 * A piece of the contents of an inventory that is too large for one message: bytes of `InventoryContents` as JSON, from the first
 * (`part` 0) on. Kept for an hour, for whoever sent it. The same part again replaces it. Errors: forbidden, not_found (no such
 * organization), invalid (somebody else's upload).
 */
export const StageInventory = command('templates.inventory.stage', {
  callers: ['gateway'],
  input: z.object({
    organizationId: Id,
    uploadId: Id,
    part: z.number().int().min(0).max(999),
    data: z.base64().max(STAGED_BYTES * 2),
  }),
  output: z.object({}),
});
/** With hosts and groups, or those that were `staged` instead; all of it or nothing. */
export const CreateInventory = command('templates.inventory.create', {
  callers: ['gateway'],
  timeoutMilliseconds: 60_000,
  input: InventorySettings.extend({
    ...InventoryContents.shape,
    staged: z.object({ uploadId: Id, parts: z.number().int().min(1) }).nullish(),
    idempotencyKey: IdempotencyKey.nullish(),
  }),
  output: Created,
});
/** Inventories that the caller may see, by name. */
export const ListInventories = command('templates.inventory.list', {
  callers: ['gateway'],
  input: PageRequest.extend({ ids: z.array(Id).max(200).nullish() }),
  output: pageOf(Inventory),
});
/** Hosts of one inventory, by name. Errors: not_found, forbidden. */
export const ListInventoryHosts = command('templates.inventory_host.list', {
  callers: ['gateway'],
  input: PageRequest.extend({ inventoryId: Id }),
  output: pageOf(InventoryHost),
});
/** Everything it names must exist and be usable by the caller. */
export const CreateJobTemplate = command('templates.job_template.create', {
  callers: ['gateway'],
  input: JobTemplateSettings.extend({ idempotencyKey: IdempotencyKey.nullish() }),
  output: Created,
});
/** `expectedVersion`: refuse with conflict if somebody else revised it since. */
export const ReviseJobTemplate = command('templates.job_template.revise', {
  callers: ['gateway'],
  input: JobTemplateSettings.extend({ id: Id, expectedVersion: z.number().int().nullish() }),
  output: z.object({ version: z.number().int() }),
});
/** Job templates that the caller may see, by name. */
export const ListJobTemplates = command('templates.job_template.list', {
  callers: ['gateway'],
  input: PageRequest.extend({ ids: z.array(Id).max(200).nullish(), name: z.string().nullish() }),
  output: pageOf(JobTemplate),
});
/** For the launcher, in the launching person's name (needs `execute`). `jobTemplate` is an id or a name. Errors: not_found, forbidden, invalid (a prompt not asked for, no inventory). */
export const SnapshotJobTemplate = command('templates.job_template.snapshot', {
  callers: ['launcher'],
  principal: true,
  input: z.object({ jobTemplate: z.string(), prompts: LaunchPrompts }),
  output: LaunchSnapshot,
});
/**
 * For the launcher, in the name of the person who relaunches: the snapshot of a past job once more, with `changes` in. Needs `execute`
 * on the template now, and `use` on whatever of the past job the template does not name any more. `ownCredentials`: those that the
 * template names now. Errors: not_found, forbidden, invalid (a change that the template does not ask for).
 */
export const RepeatSnapshot = command('templates.job_template.repeat', {
  callers: ['launcher'],
  principal: true,
  input: z.object({ snapshot: LaunchSnapshot, changes: LaunchPrompts }),
  output: z.object({ snapshot: LaunchSnapshot, ownCredentials: z.array(Id) }),
});
/** Branch to commit to stored archive. Fetches if never synced, another branch, or update on launch. Errors: refused with git's words. */
export const PinProject = command('templates.project.pin', {
  callers: ['launcher'],
  timeoutMilliseconds: 120_000,
  input: z.object({ projectId: Id, scmBranch: z.string() }),
  output: z.object({
    commit: z.string(),
    branch: z.string(),
    archive: StoredObject,
    /** The commit's collections/requirements.yml; null: it has none. Left out: an archive from before anybody looked. */
    collectionsLock: z.object({ file: z.string(), sha256: z.string() }).nullish(),
  }),
});
/** The inventory's content now, stored: JSON as `ansible-inventory --list` prints it. Disabled hosts are left out. */
export const SnapshotInventory = command('templates.inventory.snapshot', {
  callers: ['launcher'],
  timeoutMilliseconds: 60_000,
  input: z.object({ inventoryId: Id }),
  output: z.object({ object: StoredObject, totalHosts: z.number().int() }),
});
const HostCount = z.object({ total: z.number().int(), names: z.array(z.string()) });
/** How two stored inventories differ, hosts by their own variables and groups. `names`: a few of each. Errors: not_found (an object is gone). */
export const CompareInventories = command('templates.inventory.compare', {
  callers: ['launcher'],
  timeoutMilliseconds: 60_000,
  input: z.object({ from: StoredObject, to: StoredObject }),
  output: z.object({ added: HostCount, removed: HostCount, changed: HostCount, groupsChanged: z.boolean() }),
});

/** What templates answers. */
export const templateCommands = [
  CreateProject,
  SyncProject,
  SetProjectDefaultEnvironment,
  ListTemplatesUsingEnvironment,
  ListProjects,
  StageInventory,
  CreateInventory,
  ListInventories,
  ListInventoryHosts,
  CreateJobTemplate,
  ReviseJobTemplate,
  ListJobTemplates,
  SnapshotJobTemplate,
  RepeatSnapshot,
  PinProject,
  SnapshotInventory,
  CompareInventories,
] as const;
