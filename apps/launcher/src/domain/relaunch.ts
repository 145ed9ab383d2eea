/**
 * What of a past job is the same when it is run again, what is not, and what is gone. Pure: how things are now comes in as facts.
 * Values of variables are never told, only their names: a variable may be a secret that somebody should not have put there.
 */
import type { CollectionsLock, JobPinned } from '@gantry/contracts/job';
import type { EventOf } from '@gantry/contracts/envelope';
import { PlatformError } from '@gantry/contracts/errors';
import type { RelaunchItem, RelaunchPart } from '@gantry/contracts/relaunch';
import type { LaunchPrompts, LaunchSnapshot } from '@gantry/contracts/template';

type Pinned = EventOf<typeof JobPinned>['data'];

/** Something as it is now, or a sentence that says why it is not there. `note` tells more about it. */
export type Found<T> = { is: T; note?: string } | { missing: string };

/** A past job. */
export interface PastJob {
  snapshot: LaunchSnapshot;
  limitHosts: string[] | null;
  /** What it ran on; null: it ended before that was fixed. */
  pins: Pins | null;
}

/** What a job ran on. `digest`: of the image that the engine had. */
export interface Pins {
  image: { image: string; digest: string | null };
  project: Pinned['project'];
  inventory: Pinned['inventory'];
  credentials: Pinned['credentials'];
  collectionsLock?: CollectionsLock | null;
}

/** How many hosts came, went and changed, and some of their names. */
export interface HostsDifference {
  added: { total: number; names: string[] };
  removed: { total: number; names: string[] };
  changed: { total: number; names: string[] };
  groupsChanged: boolean;
}

/** What the next job would run on. */
export interface NextJob {
  snapshot: LaunchSnapshot;
  image: Found<{ image: string; digest: string | null }>;
  project: Found<Pick<Pinned['project'], 'branch' | 'commit' | 'archive'>>;
  inventory: Found<Pick<Pinned['inventory'], 'object' | 'totalHosts'>>;
  credentials: Pinned['credentials'];
  /** Those of the past job that cannot be had, by id, with a sentence. */
  missingCredentials: ReadonlyMap<string, string>;
  collectionsLock?: CollectionsLock | null;
  limitHosts: string[] | null;
  /** Where the hosts come from: the record of failures, or as it was. */
  failedHosts: boolean;
  inventoryDifference: HostsDifference | null;
}

const mostNames = 20;
const longestValue = 200;
const list = (names: readonly string[]): string =>
  names.slice(0, mostNames).join(', ') +
  (names.length > mostNames ? `, and ${names.length - mostNames} more` : '');
const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;
const short = (hash: string): string => hash.replace(/^sha256:/, '').slice(0, 12);
const text = (value: unknown): string => {
  const told = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return told.length > longestValue ? `${told.slice(0, longestValue)}…` : told;
};

const item = (
  part: RelaunchPart,
  name: string,
  status: RelaunchItem['status'],
  message: string,
  more: Partial<Pick<RelaunchItem, 'was' | 'now' | 'edited'>> = {},
): RelaunchItem => ({ part, name, status, was: null, now: null, edited: false, message, ...more });

/** Every part of a job, compared. `changes`: what the person who relaunches wants otherwise. */
export const compareJobs = (past: PastJob, next: NextJob, changes: LaunchPrompts): RelaunchItem[] => {
  const edited = (field: keyof LaunchPrompts): boolean => changes[field] !== undefined;
  return [
    ...compareTemplate(past.snapshot, next.snapshot, edited),
    compareVariables(past.snapshot.extraVars, next.snapshot.extraVars, edited('extraVars')),
    ...(past.pins ? comparePins(past.pins, past.snapshot, next, edited) : [nothingFixed(past.snapshot)]),
    compareHosts(past, next, edited('limit')),
  ];
};

const comparePins = (
  pins: Pins,
  snapshot: LaunchSnapshot,
  next: NextJob,
  edited: (field: keyof LaunchPrompts) => boolean,
): RelaunchItem[] => [
  ...compareProject(pins, snapshot, next, edited('scmBranch')),
  compareInventory(pins, snapshot, next, edited('inventoryId')),
  compareImage(pins, next, edited('executionEnvironmentId')),
  ...compareCredentials(pins, next, edited('credentialIds')),
  compareCollections(pins, next),
];

const nothingFixed = ({ projectName }: LaunchSnapshot): RelaunchItem =>
  item('project', projectName, 'changed', 'The past job ended before commit, image, inventory and credentials were fixed: there is nothing to compare these with.'); // prettier-ignore

/** What a job uses of its template, and the word for it. Credentials and variables are compared on their own. */
const templateFields = {
  name: 'name',
  playbook: 'playbook',
  jobType: 'job type',
  projectId: 'project',
  scmBranch: 'branch',
  inventoryId: 'inventory',
  executionEnvironmentId: 'execution environment',
  limit: 'limit',
  forks: 'forks',
  verbosity: 'verbosity',
  jobTags: 'job tags',
  skipTags: 'skip tags',
  diffMode: 'diff mode',
  becomeEnabled: 'become',
  timeoutSeconds: 'time limit in seconds',
  allowSimultaneous: 'simultaneous jobs',
} as const satisfies Partial<Record<keyof LaunchSnapshot, string>>;

const shown = (snapshot: LaunchSnapshot, field: keyof typeof templateFields): string => {
  if (field === 'projectId') return snapshot.projectName;
  if (field === 'inventoryId') return snapshot.inventoryName;
  return text(snapshot[field] ?? '');
};

const compareTemplate = (
  past: LaunchSnapshot,
  next: LaunchSnapshot,
  edited: (field: keyof LaunchPrompts) => boolean,
): RelaunchItem[] => {
  const fields = (Object.keys(templateFields) as (keyof typeof templateFields)[]).filter(
    (field) => (past[field] ?? null) !== (next[field] ?? null),
  );
  const versions = { was: String(past.jobTemplateVersion), now: String(next.jobTemplateVersion) };
  if (fields.length === 0) {
    const message =
      versions.was === versions.now
        ? `The template ${past.name} at version ${versions.was}.`
        : `The template ${past.name} is at version ${versions.now} now (${versions.was} then), with the same settings.`;
    return [item('template', past.name, 'identical', message, versions)];
  }
  return fields.map((field) => {
    const [was, now] = [shown(past, field), shown(next, field)];
    const word = templateFields[field];
    const told = (value: string): string => (value === '' ? 'nothing' : value);
    return item('template', word, 'changed', `The ${word} was ${told(was)}, and would be ${told(now)}.`, {
      was,
      now,
      edited: edited(field as keyof LaunchPrompts),
    });
  });
};
const compareVariables = (
  past: Record<string, unknown>,
  next: Record<string, unknown>,
  edited: boolean,
): RelaunchItem => {
  const added = Object.keys(next).filter((name) => !Object.hasOwn(past, name));
  const removed = Object.keys(past).filter((name) => !Object.hasOwn(next, name));
  const changed = Object.keys(next).filter(
    (name) => Object.hasOwn(past, name) && sorted(past[name]) !== sorted(next[name]),
  );
  const told = [
    changed.length > 0 && `other values: ${list(changed)}`,
    added.length > 0 && `new: ${list(added)}`,
    removed.length > 0 && `gone: ${list(removed)}`,
  ].filter((part) => part !== false);
  const count = Object.keys(past).length;
  if (told.length === 0)
    return item('variables', 'extra variables', 'identical', count === 0 ? 'No extra variables.' : `The same ${plural(count, 'extra variable')}.`); // prettier-ignore
  return item('variables', 'extra variables', 'changed', `Extra variables differ; ${told.join('; ')}.`, { edited }); // prettier-ignore
};

/** JSON with the keys of every object in order: the same value is the same text. */
const sorted = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );

const compareProject = (
  past: Pins,
  { projectName }: LaunchSnapshot,
  next: NextJob,
  edited: boolean,
): RelaunchItem[] => {
  const { project } = next;
  const was = past.project.commit;
  const wasArchive = past.project.archive.sha256;
  if ('missing' in project) return [item('project', projectName, 'missing', project.missing, { was })];
  const now = project.is.commit;
  const archive = project.is.archive.sha256;
  if (was !== now) {
    const message = `The project ${next.snapshot.projectName} was at ${short(was)}, and would be at ${short(now)} (${project.is.branch}).`;
    return [item('project', next.snapshot.projectName, 'changed', message, { was, now, edited })];
  }
  const same = item('project', projectName, 'identical', `The project ${projectName} at ${short(was)}.`, { was, now }); // prettier-ignore
  if (archive === wasArchive)
    return [same, item('archive', projectName, 'identical', project.note ?? 'The very archive of the commit that the job had.', { was: wasArchive, now: archive })]; // prettier-ignore
  const message =
    'The archive of the commit had to be made anew from git, and its bytes differ: the same files, packed by another git.';
  return [same, item('archive', projectName, 'changed', message, { was: wasArchive, now: archive })];
};

const compareInventory = (
  past: Pins,
  { inventoryName: name }: LaunchSnapshot,
  next: NextJob,
  edited: boolean,
): RelaunchItem => {
  const was = past.inventory.object.sha256;
  const { inventory, inventoryDifference: difference } = next;
  if ('missing' in inventory) return item('inventory', name, 'missing', inventory.missing, { was });
  const now = inventory.is.object.sha256;
  if (was === now)
    return item('inventory', name, 'identical', `The inventory ${name} as it was, ${plural(past.inventory.totalHosts, 'host')}.`, { was, now }); // prettier-ignore
  const count = (what: string, { total, names }: { total: number; names: string[] }): string | false =>
    total > 0 && `${total} ${what} (${names.join(', ')}${total > names.length ? ', …' : ''})`;
  const told = difference
    ? [
        count('added', difference.added),
        count('removed', difference.removed),
        count('changed', difference.changed),
        difference.groupsChanged && 'groups or their variables differ',
      ].filter((part) => part !== false)
    : [];
  const message = `The inventory ${next.snapshot.inventoryName} differs: ${plural(past.inventory.totalHosts, 'host')} then, ${inventory.is.totalHosts} now${told.length > 0 ? `; ${told.join(', ')}` : ''}.`;
  return item('inventory', next.snapshot.inventoryName, 'changed', message, { was, now, edited });
};

const compareImage = (past: Pins, next: NextJob, edited: boolean): RelaunchItem => {
  const { image: wasName, digest: was } = past.image;
  const { image } = next;
  if ('missing' in image) return item('image', wasName, 'missing', image.missing, { was });
  const { image: name, digest: now } = image.is;
  const note = image.note ? ` ${image.note}` : '';
  if (was !== null && was === now)
    return item('image', name, 'identical', `The image ${name} at ${short(was)}.${note}`, { was, now });
  const told = (imageName: string, digest: string | null): string =>
    `${imageName}${digest ? ` at ${short(digest)}` : ', whose digest nobody knows yet'}`;
  const message = `The image was ${told(wasName, was)}, and would be ${told(name, now)}.${note}`;
  return item('image', name, 'changed', message, { was, now, edited });
};

const compareCredentials = (past: Pins, next: NextJob, edited: boolean): RelaunchItem[] => {
  const now = new Map(next.credentials.map((credential) => [credential.id, credential]));
  const kept = past.credentials.map(({ id, name, version }) => {
    const was = `version ${version}`;
    const missing = next.missingCredentials.get(id);
    if (missing !== undefined) return item('credential', name, 'missing', missing, { was });
    const found = now.get(id);
    if (!found) return item('credential', name, 'changed', `The credential ${name} is not used any more.`, { was, edited }); // prettier-ignore
    if (found.version === version)
      return item('credential', name, 'identical', `The credential ${name} at version ${version}.`, { was, now: was }); // prettier-ignore
    const message = `The credential ${name} was changed since (version ${version} then, ${found.version} now): the job would get today's values.`;
    return item('credential', name, 'changed', message, { was, now: `version ${found.version}` });
  });
  const added = next.credentials.filter(({ id }) => !past.credentials.some((was) => was.id === id));
  return [
    ...kept,
    ...added.map(
      ({ name, version }) =>
      item('credential', name, 'changed', `The credential ${name} is used as well now.`, { now: `version ${version}`, edited }), // prettier-ignore
    ),
  ];
};

const nothingInstalled =
  'Nothing is installed at launch: a job has the collections of its image and of its project.';

const compareCollections = (past: Pins, next: NextJob): RelaunchItem => {
  const { collectionsLock: was, project } = past;
  const { collectionsLock: now } = next;
  const same =
    'is' in next.image &&
    next.image.is.digest === past.image.digest &&
    past.image.digest !== null &&
    'is' in next.project &&
    next.project.is.commit === project.commit;
  const name = was?.file ?? now?.file ?? 'collections';
  const hashes = { was: was?.sha256 ?? null, now: now?.sha256 ?? null };
  const wish =
    was === undefined || now === undefined
      ? 'Whether the project names collections was not looked up.'
      : was === null && now === null
        ? 'The project has no collections/requirements.yml: nothing but image and commit fixes them.'
        : was?.sha256 === now?.sha256
          ? `${name} is the same (${short(was!.sha256)}).`
          : `${name} differs.`;
  return same
    ? item('collections', name, 'identical', `${wish} ${nothingInstalled} Both are the same.`, hashes)
    : // It follows from image and project, which say themselves whether somebody wanted it so.
      item('collections', name, 'changed', `${wish} ${nothingInstalled} These differ.`, { ...hashes, edited: true }); // prettier-ignore
};
const compareHosts = (past: PastJob, next: NextJob, edited: boolean): RelaunchItem => {
  const names = next.limitHosts;
  const now = names && plural(names.length, 'host');
  const was = past.limitHosts && plural(past.limitHosts.length, 'host');
  if (names && next.failedHosts)
    return item('hosts', 'hosts', 'changed', `Only the ${now} that failed or could not be reached: ${list(names)}.`, { was: was ?? past.snapshot.limit, now, edited: true }); // prettier-ignore
  if (names) return item('hosts', 'hosts', 'identical', `The same ${now} by name: ${list(names)}.`, { was, now }); // prettier-ignore
  if (was) return item('hosts', 'hosts', 'changed', `The job was limited to ${was} by name, and would not be.`, { was, now: next.snapshot.limit, edited }); // prettier-ignore
  const { limit } = next.snapshot;
  return item('hosts', 'hosts', 'identical', limit === '' ? 'All hosts of the inventory.' : `Hosts by the limit ${limit}.`); // prettier-ignore
};

const mostBytes = 512 * 1024;

/**
 * The hosts of a limit. Throws `refused`: none_failed, too_many_hosts, host_is_pattern (a name that Ansible would read as a pattern,
 * which a playbook's add_host can make, would run on other hosts than those that failed).
 */
export const checkLimitHosts = (names: readonly string[], total: number, most: number): string[] => {
  const refused = (reason: string, message: string): PlatformError =>
    new PlatformError('refused', message, { details: { reason } });
  if (total === 0)
    throw refused('none_failed', 'No host failed or was out of reach in this job: there is nothing to run again on failed hosts only.'); // prettier-ignore
  const bytes = names.reduce((sum, name) => sum + name.length + 1, 0);
  if (total > most || bytes > mostBytes)
    throw refused('too_many_hosts', `${total} hosts failed: a limit by name holds at most ${most} hosts and 512 KiB of names. Run it again on all hosts, or with a limit.`); // prettier-ignore
  const pattern = names.find(
    (name) => /^[~@-]|[\s,:!&*?{}[\]'"]/.test(name) || name === 'all' || name === 'ungrouped',
  );
  if (pattern !== undefined)
    throw refused('host_is_pattern', `Among the hosts that failed is one called ${JSON.stringify(pattern.slice(0, 100))}, which Ansible would read as a pattern for others: run it again with a limit of your own.`); // prettier-ignore
  return [...names];
};

/**
 * The past job's prompts with changes over them: null takes a prompt away, variables are merged one by one. Hosts by name give way to
 * a limit.
 */
export const mergeChanges = (past: LaunchPrompts, changes: LaunchPrompts): LaunchPrompts => ({
  ...past,
  ...changes,
  ...(past.extraVars && changes.extraVars ? { extraVars: { ...past.extraVars, ...changes.extraVars } } : {}),
});
