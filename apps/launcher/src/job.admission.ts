/** The first half of a job's way: pin everything, wait for a place, take it. */
import { asPlatformError } from '@gantry/contracts/errors';
import type { Reason } from '@gantry/contracts/job';
import {
  backOff,
  driverContext,
  say,
  type Drive,
  type LauncherParts,
  type StepOutcome,
} from './job.drive.js';
import { authorizationLost, helpsToWait, PIN_PATIENCE_MILLISECONDS, pinJob, reasonOf } from './job.pin.js';
import { waitsForOf, type LoadedJob } from './job.stream.js';
import type { JobCommand } from './domain/job.js';

const dispatch: JobCommand = { kind: 'dispatch', instanceGroup: 'default' };

/** One step of a job that has no place yet. */
export const admissionStep = async (
  parts: LauncherParts,
  drive: Drive,
  job: LoadedJob,
): Promise<StepOutcome> => {
  const { requested, phase } = job.state;
  if (phase === 'pinned') return takePlace(parts, job, []);
  try {
    const sealed = await parts.jobs.sealedAssertion(job.id);
    const assertion = sealed && parts.seal.open(job.id, sealed);
    if (!assertion) throw authorizationLost();
    const { launchedBy } = requested!;
    const { correlationId, causationId } = driverContext(parts, job);
    const actor = { kind: 'user' as const, id: launchedBy.userId, name: launchedBy.username };
    const pin = await pinJob(parts.kit, requested!, { assertion, correlationId, causationId, actor });
    return await takePlace(parts, job, [pin]);
  } catch (thrown) {
    return pinTrouble(parts, drive, job, thrown);
  }
};

const takePlace = async (
  parts: LauncherParts,
  job: LoadedJob,
  before: JobCommand[],
): Promise<StepOutcome> => {
  try {
    await say(parts, job, ...before, dispatch);
    return 'again';
  } catch (error) {
    const reason = waitsForOf(error);
    if (!reason) throw error;
    await say(parts, job, ...before, { kind: 'wait', reason });
    return 'parked';
  }
};

const pinTrouble = async (
  parts: LauncherParts,
  drive: Drive,
  job: LoadedJob,
  thrown: unknown,
): Promise<StepOutcome> => {
  const error = asPlatformError(thrown);
  const now = performance.now();
  drive.troubleSince ??= now;
  const reason = reasonOf(error);
  if (error.code === 'defect') parts.kit.logger.error({ jobId: job.id, err: error }, 'pinning failed');
  if (!helpsToWait(error) || now - drive.troubleSince > PIN_PATIENCE_MILLISECONDS) {
    await say(parts, job, { kind: 'fail', reason, durationMilliseconds: 0 });
    return 'again';
  }
  drive.failures += 1;
  // The first moments of somebody's restart need no event.
  if (drive.failures > 3) await say(parts, job, { kind: 'wait', reason: waiting(reason) });
  await drive.news(backOff(drive.failures));
  return 'again';
};

const waiting = ({ code, message }: Reason): Reason => ({
  code,
  message: `Cannot be prepared yet: ${message}`,
});
