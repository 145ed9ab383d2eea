/** While a pod runs: wait for its end, and see to it that it ends when it must. */
import { CancelRecord } from '@gantry/contracts/record';
import { joinSignals } from '@gantry/service/signals';
import { driverContext, type Drive, type LauncherParts } from './job.drive.js';
import type { LoadedJob } from './job.stream.js';
import { podSecrets } from './pod/token.js';

/** From asking the agent to end the playbook until the pod is told. */
const cancelGraceMilliseconds = 15_000;
/** The agent itself ends a playbook that runs too long; this is for one that cannot any more. */
const deadlineGraceMilliseconds = 60_000;
const stopGraceSeconds = 10;
const lastBreathMilliseconds = 10_000;
const lookMilliseconds = 30_000;

/** Resolves when the pod does not run any more, or the drive is over. Throws `unavailable` while the engine does not answer. */
export const watchPod = async (
  parts: LauncherParts,
  drive: Drive,
  job: LoadedJob,
  name: string,
): Promise<void> => {
  if (!job.state.agentSpoke && !drive.tokenGiven) {
    // The launcher before us may have started it and died before it gave the token.
    await parts.pods.start(name, podSecrets(parts.podTokenKey, job.id, job.state.epoch).token);
    drive.tokenGiven = true;
  }
  const ended = new AbortController();
  const over = joinSignals([ended.signal, drive.signal]);
  const guard = guardPod(parts, drive, job, name, over.signal);
  try {
    await parts.pods.wait(name, drive.signal);
  } finally {
    ended.abort();
    await guard;
    over.release();
  }
};

interface Guard {
  cancelTold: boolean;
  stopAt: number;
  sealedAt: number | null;
}

const guardPod = async (
  parts: LauncherParts,
  drive: Drive,
  job: LoadedJob,
  name: string,
  over: AbortSignal,
): Promise<void> => {
  const guard: Guard = { cancelTold: false, stopAt: Number.POSITIVE_INFINITY, sealedAt: null };
  while (!over.aborted) {
    const since = drive.heard;
    try {
      await drive.news(await guardOnce(parts, drive, job, name, guard, over), over, since);
    } catch (error) {
      parts.kit.logger.warn({ jobId: job.id, err: error }, 'the pod could not be looked after; trying again');
      await drive.news(1_000, over);
    }
  }
};

/** Does what is due; returns in how many milliseconds to look again. */
const guardOnce = async (
  parts: LauncherParts,
  drive: Drive,
  job: LoadedJob,
  name: string,
  guard: Guard,
  over: AbortSignal,
): Promise<number> => {
  const now = await parts.jobs.load(job.id);
  if (!now || over.aborted) return lookMilliseconds;
  const { state, runningSince } = now;
  const clock = performance.now();
  if (state.seal) {
    guard.sealedAt ??= clock;
    const left = guard.sealedAt + lastBreathMilliseconds - clock;
    if (left <= 0) await parts.pods.kill(name);
    return left > 0 ? left : 1_000;
  }
  if (state.cancel?.force) {
    await parts.pods.kill(name);
    return 1_000;
  }
  if (state.cancel && !guard.cancelTold) {
    guard.stopAt = Math.min(guard.stopAt, clock + cancelGraceMilliseconds);
    await parts.kit.call(CancelRecord, { jobId: job.id }, driverContext(parts, now));
    guard.cancelTold = true;
  }
  const { timeoutSeconds } = state.requested!.snapshot;
  if (
    timeoutSeconds > 0 &&
    runningSince &&
    Date.now() > Date.parse(runningSince) + timeoutSeconds * 1_000 + deadlineGraceMilliseconds
  ) {
    drive.endedFor = {
      code: 'timed_out',
      message: `The job ran longer than its ${timeoutSeconds} s, its agent did not end it, and so its pod was ended.`,
    };
    guard.stopAt = clock;
  }
  if (clock >= guard.stopAt) {
    await parts.pods.stop(name, stopGraceSeconds);
    return 1_000;
  }
  return Math.min(lookMilliseconds, guard.stopAt - clock);
};
