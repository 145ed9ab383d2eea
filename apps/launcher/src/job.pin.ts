/** Fixes everything a job depends on: asks templates, registry and vault, all at once. */
import { PinCredentials } from '@gantry/contracts/credential';
import { ResolveExecutionEnvironment, type EeCandidate } from '@gantry/contracts/ee';
import { PlatformError, asPlatformError, errorTreatments } from '@gantry/contracts/errors';
import type { Reason } from '@gantry/contracts/job';
import { PinProject, SnapshotInventory, type LaunchSnapshot } from '@gantry/contracts/template';
import type { ServiceKit } from '@gantry/service/kit';
import type { JobCommand, JobState } from './domain/job.js';

type CallerContext = Parameters<ServiceKit['call']>[2];
type Pin = Extract<JobCommand, { kind: 'pin' }>;

/**
 * `context` carries the launching person's assertion: what they may not use, their job may not either.
 * `onlyLook`: for a plan, no job runs on it. Throws what the owners throw; a refusal comes before an `unavailable`, for waiting does not help then.
 */
export const pinJob = async (
  kit: Pick<ServiceKit, 'call'>,
  requested: Pick<NonNullable<JobState['requested']>, 'snapshot' | 'prompts'>,
  context: CallerContext,
  onlyLook = false,
): Promise<Pin> => {
  const { snapshot, prompts } = requested;
  const [project, inventory, image, credentials] = await all([
    kit.call(PinProject, { projectId: snapshot.projectId, scmBranch: snapshot.scmBranch }, context),
    kit.call(SnapshotInventory, { inventoryId: snapshot.inventoryId }, context),
    resolveImage(kit, snapshot, context, onlyLook),
    kit.call(
      PinCredentials,
      { credentialIds: snapshot.credentialIds, prompted: prompts.credentialIds ?? [] },
      context,
    ),
  ] as const);
  const { collectionsLock, ...fetched } = project;
  return {
    kind: 'pin',
    data: {
      image,
      project: { projectId: snapshot.projectId, ...fetched },
      inventory: { inventoryId: snapshot.inventoryId, ...inventory },
      credentials: credentials.credentials,
      collectionsLock,
    },
  };
};

/** A job that was requested before templates told whom its execution environment may come from has what its template names. */
const candidatesOf = ({ executionEnvironments, executionEnvironmentId }: LaunchSnapshot): EeCandidate[] =>
  executionEnvironments ?? (executionEnvironmentId ? [{ from: 'job_template', executionEnvironmentId }] : []);

/** Which image a job with this snapshot runs, and why. */
export const resolveImage = async (
  kit: Pick<ServiceKit, 'call'>,
  snapshot: LaunchSnapshot,
  context: CallerContext,
  onlyLook = false,
): Promise<Pin['data']['image']> => {
  const { id, ...resolved } = await kit.call(
    ResolveExecutionEnvironment,
    { candidates: candidatesOf(snapshot), organizationId: snapshot.organizationId, onlyLook },
    context,
  );
  return { executionEnvironmentId: id, ...resolved };
};

const all = async <T extends readonly Promise<unknown>[]>(
  calls: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> => {
  const answers = await Promise.allSettled(calls);
  const failures = answers
    .filter((answer) => answer.status === 'rejected')
    .map((answer) => asPlatformError(answer.reason));
  if (failures.length > 0) throw failures.find((error) => !helpsToWait(error)) ?? failures[0]!;
  return answers.map((answer) => (answer as PromiseFulfilledResult<unknown>).value) as never;
};

/** May the same thing succeed a little later? */
export const helpsToWait = (error: PlatformError): boolean =>
  errorTreatments[error.code].retry !== 'never' || error.code === 'cancelled';

/** An error as the reason of a job's end, or of its waiting. */
export const reasonOf = (error: unknown): Reason => {
  const { code, message, details } = asPlatformError(error);
  if (code === 'unauthenticated') {
    return {
      code: 'authorization_lapsed',
      message: "The launching person's authorization lapsed before everything was pinned. Launch again.",
    };
  }
  return { code: typeof details['reason'] === 'string' ? details['reason'] : code, message };
};

/** What everybody waits for at most; the assertion lives for five minutes. */
export const PIN_PATIENCE_MILLISECONDS = 240_000;

/** Said when the assertion is not there any more. */
export const authorizationLost = (): PlatformError =>
  new PlatformError('unauthenticated', "The launching person's authorization is not known any more.");
