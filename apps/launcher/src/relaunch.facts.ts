/** What is known of a past job, and how the things that it ran on are now: asked of their owners, in the name of the person who relaunches. */
import { PinCredentials } from '@gantry/contracts/credential';
import { CheckImage, type EeCandidate } from '@gantry/contracts/ee';
import { asPlatformError, isPlatformError, PlatformError } from '@gantry/contracts/errors';
import { MAX_LIMIT_HOSTS, type JobPinned } from '@gantry/contracts/job';
import type { EventOf } from '@gantry/contracts/envelope';
import { ListHostSummaries } from '@gantry/contracts/record';
import type { RelaunchJob } from '@gantry/contracts/relaunch';
import type { ReceivedBy } from '@gantry/contracts/command';
import {
  CompareInventories,
  PinProject,
  RepeatSnapshot,
  SnapshotInventory,
  SnapshotJobTemplate,
  type LaunchPrompts,
  type LaunchSnapshot,
} from '@gantry/contracts/template';
import type { CallContext } from '@gantry/service/context';
import type { ServiceKit } from '@gantry/service/kit';
import type { JobState } from './domain/job.js';
import {
  checkLimitHosts,
  mergeChanges,
  type Found,
  type NextJob,
  type PastJob,
  type Pins,
} from './domain/relaunch.js';
import { pinJob, resolveImage } from './job.pin.js';
import type { PodDriver } from './pod/driver.js';

type Pinned = EventOf<typeof JobPinned>['data'];
type Wanted = Pick<ReceivedBy<typeof RelaunchJob>, 'jobId' | 'mode' | 'hosts' | 'changes'>;

/** What the questions stand on. */
export interface FactParts {
  kit: Pick<ServiceKit, 'call' | 'objects'>;
  pods: Pick<PodDriver, 'findImage'>;
}

/** A past job with what it was asked for, and its pins as they stand in its events. */
export interface Past extends PastJob {
  jobId: string;
  prompts: LaunchPrompts;
  pinned: Pinned | null;
}

/** The next job: compared with the past one, and, if exact and nothing is missing, what it is pinned to. */
export interface Next {
  job: NextJob;
  prompts: LaunchPrompts;
  pinned: Omit<Pinned, 'jobId'> | null;
}

/** A past job from its events. */
export const pastOf = (jobId: string, { requested, pinned, imageDigest }: JobState): Past => ({
  jobId,
  snapshot: requested!.snapshot,
  prompts: requested!.prompts,
  limitHosts: requested!.limitHosts ?? null,
  pinned,
  pins: pinned && {
    ...pinned,
    // Of an image that only the engine can name, the digest is known once the engine had it.
    image: { image: pinned.image.image, digest: imageDigest ?? pinned.image.digest },
  },
});

/** The hosts that the next job is limited to by name. */
export const limitHostsOf = async (
  { kit }: FactParts,
  past: Past,
  { hosts, changes }: Wanted,
  context: CallContext,
): Promise<string[] | null> => {
  if (hosts === 'failed') {
    if (typeof changes.limit === 'string')
      throw new PlatformError('invalid', 'Give a limit or ask for the failed hosts, not both.', {
        details: { fields: ['limit'] },
      });
    return failedHosts(kit, past.jobId, context);
  }
  return changes.limit === undefined ? past.limitHosts : null;
};

const pageSize = 1_000;

const failedHosts = async (kit: FactParts['kit'], jobId: string, context: CallContext): Promise<string[]> => {
  const names: string[] = [];
  for (let after: string | null = null; ;) {
    const page = await kit
      .call(ListHostSummaries, { jobId, first: pageSize, after, failedOnly: true }, context)
      .catch((error: unknown) => {
        if (!isPlatformError(error) || error.code !== 'not_found') throw error;
        throw new PlatformError(
          'refused',
          'This job has no record of its hosts: no pod was prepared for it. Run it again on all hosts.',
          { details: { reason: 'none_failed' } },
        );
      });
    names.push(...page.items.map(({ host }: { host: string }) => host));
    if (!page.hasNextPage || page.totalCount > MAX_LIMIT_HOSTS)
      return checkLimitHosts(names, page.totalCount, MAX_LIMIT_HOSTS);
    after = names.at(-1)!;
  }
};

/** The template as it is now, with the past job's prompts and the changes over them; and everything it depends on, as a launch would pin it. */
export const currentJob = async (
  parts: FactParts,
  past: Past,
  wanted: Wanted,
  limitHosts: string[] | null,
  context: CallContext,
): Promise<Next> => {
  const { snapshot, prompts } = await currentSnapshot(parts, past, wanted.changes, context);
  const { data } = await pinJob(parts.kit, { snapshot, prompts }, context, true);
  const digest =
    data.image.digest ??
    (await parts.pods.findImage({ image: data.image.image, digest: null }).catch(() => null))?.digest ??
    null;
  const inventoryDifference =
    !past.pins || data.inventory.object.sha256 === past.pins.inventory.object.sha256
      ? null
      : await parts.kit
          .call(CompareInventories, { from: past.pins.inventory.object, to: data.inventory.object }, context)
          .catch((error: unknown) => {
            if (asPlatformError(error).code !== 'not_found') throw error;
            // The past one is gone: then only the numbers are told.
            return null;
          });
  const job: NextJob = {
    snapshot,
    image: { is: { image: data.image.image, digest } },
    project: { is: data.project },
    inventory: { is: data.inventory },
    credentials: data.credentials,
    missingCredentials: new Map(),
    collectionsLock: data.collectionsLock,
    limitHosts,
    failedHosts: wanted.hosts === 'failed',
    inventoryDifference,
  };
  return { job, prompts, pinned: null };
};

/** What a relaunch of the template as it is now asks for. */
export const currentSnapshot = async (
  { kit }: FactParts,
  past: Past,
  changes: LaunchPrompts,
  context: CallContext,
): Promise<{ snapshot: LaunchSnapshot; prompts: LaunchPrompts }> => {
  const prompts = mergeChanges(past.prompts, changes);
  const jobTemplate = past.snapshot.jobTemplateId;
  return { snapshot: await kit.call(SnapshotJobTemplate, { jobTemplate, prompts }, context), prompts };
};

/**
 * The past job once more: each thing is looked for where it is kept. What `changes` touch is resolved anew, as a launch would.
 * `onlyLook`: for a plan.
 */
export const exactJob = async (
  parts: FactParts,
  past: Past,
  wanted: Wanted,
  limitHosts: string[] | null,
  context: CallContext,
  onlyLook: boolean,
): Promise<Next> => {
  const { changes } = wanted;
  const { pinned, pins } = past;
  if (!pinned || !pins) {
    throw new PlatformError(
      'refused',
      'This job ended before it was fixed what it runs on (image, commit, inventory): nothing can be repeated exactly. Run it as it is now.',
      { details: { reason: 'not_pinned' } },
    );
  }
  const before: Before = { jobId: past.jobId, snapshot: past.snapshot, pinned, pins };
  const { snapshot, ownCredentials } = await parts.kit.call(
    RepeatSnapshot,
    { snapshot: past.snapshot, changes },
    context,
  );
  const [image, project, inventory, { credentials, missing }] = await Promise.all([
    findImage(parts, before, snapshot, context, onlyLook),
    findProject(parts, before, snapshot, context),
    findInventory(parts, before, snapshot, context),
    findCredentials(parts, before, snapshot, ownCredentials, context),
  ]);
  const lock = 'is' in project ? project.is.collectionsLock : undefined;
  const job: NextJob = {
    snapshot,
    image,
    project,
    inventory,
    credentials,
    missingCredentials: missing,
    collectionsLock: lock,
    limitHosts,
    failedHosts: wanted.hosts === 'failed',
    inventoryDifference: null,
  };
  const prompts = mergeChanges(past.prompts, changes);
  if (!('is' in image && 'is' in project && 'is' in inventory) || missing.size > 0)
    return { job, prompts, pinned: null };
  const { collectionsLock: _, ...pinnedProject } = project.is;
  return {
    job,
    prompts,
    pinned: {
      image: image.is,
      project: pinnedProject,
      inventory: inventory.is,
      credentials,
      ...(lock === undefined ? {} : { collectionsLock: lock }),
    },
  };
};

/** A past job of which everything was fixed. */
interface Before {
  jobId: string;
  snapshot: LaunchSnapshot;
  pinned: Pinned;
  pins: Pins;
}

const findImage = async (
  { kit, pods }: FactParts,
  past: Before,
  snapshot: LaunchSnapshot,
  context: CallContext,
  onlyLook: boolean,
): Promise<Found<Pinned['image']>> => {
  if (snapshot.executionEnvironmentId !== past.snapshot.executionEnvironmentId)
    return { is: await resolveImage(kit, snapshot, context, onlyLook) };
  const { image } = past.pinned;
  const { digest } = past.pins.image;
  if (digest === null)
    return { missing: `The image ${image.image} was never found, so its digest is not known: fix the execution environment and run the job as it is now.` }; // prettier-ignore
  const named = `${image.image} at ${digest}`;
  const onMachine = await pods.findImage({ image: image.image, digest });
  try {
    const { found, words, credentialId } = await kit.call(
      CheckImage,
      {
        candidate: candidateOf(past),
        organizationId: snapshot.organizationId,
        image: image.image,
        digest,
        ask: onMachine === null && image.pull !== 'never',
      },
      context,
    );
    const pinned: Pinned['image'] = {
      ...image,
      digest,
      credentialId,
      reason: `exactly as in job ${past.jobId}`,
      resolution: image.resolution === 'local' ? 'local' : 'pinned',
      words: null,
      previousDigest: null,
    };
    if (onMachine) return { is: pinned, note: 'It is on the machine that runs pods.' };
    if (found === 'yes') return { is: pinned, note: 'Its registry has it.' };
    if (found === 'gone')
      return { missing: `The image ${named} is gone: its registry does not have it any more (${words}), and neither does the machine that runs pods.` }; // prettier-ignore
    return {
      missing:
        words === ''
          ? `The image ${named} is not on the machine that runs pods any more, and no registry can be asked for it.`
          : `The image ${named} is not on the machine that runs pods, and its registry cannot be asked: ${words}. Try again when it answers.`,
    };
  } catch (error) {
    if (!isPlatformError(error) || error.code !== 'not_found') throw error;
    return { missing: `The execution environment ${image.name} is not there any more: ${error.message}` };
  }
};

/** Whose choice the execution environment was; jobs of before 2026-11 do not tell. */
const candidateOf = ({ snapshot, pinned: { image } }: Before): EeCandidate => {
  const { executionEnvironmentId } = image;
  return (
    snapshot.executionEnvironments?.find((one) => one.executionEnvironmentId === executionEnvironmentId) ?? {
      from: image.from ?? 'job_template',
      executionEnvironmentId,
    }
  );
};

type FoundProject = Found<Pinned['project'] & Pick<Pinned, 'collectionsLock'>>;

const findProject = async (
  { kit }: FactParts,
  past: Before,
  snapshot: LaunchSnapshot,
  context: CallContext,
): Promise<FoundProject> => {
  const { projectId, commit, archive } = past.pinned.project;
  if (snapshot.scmBranch !== past.snapshot.scmBranch) {
    const pinned = await kit.call(PinProject, { projectId, scmBranch: snapshot.scmBranch }, context);
    return { is: { projectId, ...pinned } };
  }
  const is = { ...past.pinned.project, collectionsLock: past.pinned.collectionsLock };
  if (await kit.objects.has(archive.sha256)) return { is };
  try {
    // A full commit id: made again from git if it can be.
    const { archive: again } = await kit.call(PinProject, { projectId, scmBranch: commit }, context);
    return { is: { ...is, archive: again }, note: 'Its archive was made anew from git, with the very same bytes.' }; // prettier-ignore
  } catch (error) {
    const { code, message } = asPlatformError(error);
    if (code !== 'refused' && code !== 'not_found') throw error;
    return { missing: `The archive of the commit ${commit} is gone, and git does not have it either: ${message}` }; // prettier-ignore
  }
};

const findInventory = async (
  { kit }: FactParts,
  past: Before,
  snapshot: LaunchSnapshot,
  context: CallContext,
): Promise<Found<Pinned['inventory']>> => {
  const { inventoryId } = snapshot;
  if (inventoryId !== past.snapshot.inventoryId)
    return { is: { inventoryId, ...(await kit.call(SnapshotInventory, { inventoryId }, context)) } };
  if (await kit.objects.has(past.pinned.inventory.object.sha256)) return { is: past.pinned.inventory };
  return {
    missing: `The snapshot of the inventory ${past.snapshot.inventoryName} is gone from the object store: its hosts as they were cannot be made again. Run the job as it is now.`,
  };
};

/** Asks again without those that are gone, until the vault has said which. */
const findCredentials = async (
  { kit }: FactParts,
  past: Before,
  snapshot: LaunchSnapshot,
  ownCredentials: readonly string[],
  context: CallContext,
): Promise<{ credentials: Pinned['credentials']; missing: Map<string, string> }> => {
  const missing = new Map<string, string>();
  const own = new Set(ownCredentials);
  for (;;) {
    const ids = snapshot.credentialIds.filter((id) => !missing.has(id));
    try {
      const prompted = ids.filter((id) => !own.has(id));
      return { missing, ...(await kit.call(PinCredentials, { credentialIds: ids, prompted }, context)) };
    } catch (error) {
      const { code, details } = asPlatformError(error);
      const gone = details['id'];
      if (code !== 'not_found' || typeof gone !== 'string' || !ids.includes(gone)) throw error;
      const name = past.pinned.credentials.find(({ id }) => id === gone)?.name ?? gone;
      missing.set(gone, `The credential ${name} is not there any more, or you may not see it: nothing can take its place.`); // prettier-ignore
    }
  }
};
