/**
 * The second half of a job's way: its pod. Each step looks at what there is (the job's events, the pod) and does the next thing, so
 * that a launcher which takes over needs no memory of the one before.
 */
import { CloseGrant, CreateGrant } from '@gantry/contracts/credential';
import { NoteDigest } from '@gantry/contracts/ee';
import { asPlatformError, isPlatformError, PlatformError } from '@gantry/contracts/errors';
import type { Reason } from '@gantry/contracts/job';
import { CloseRecord, OpenRecord } from '@gantry/contracts/record';
import { joinSignals } from '@gantry/service/signals';
import type { JobCommand, JobState } from './domain/job.js';
import { payloadOf } from './domain/playbook.js';
import { ensureImage } from './image.ensure.js';
import {
  backOff,
  driverContext,
  say,
  type Drive,
  type LauncherParts,
  type StepOutcome,
} from './job.drive.js';
import { helpsToWait, reasonOf } from './job.pin.js';
import type { LoadedJob } from './job.stream.js';
import { watchPod } from './job.watch.js';
import { describePod, podName } from './pod/description.js';
import type { PodState } from './pod/driver.js';
import { reasonOfEnd } from './pod/ending.js';
import { podSecrets } from './pod/token.js';

type PinnedJob = NonNullable<JobState['pinned']>;

const startPatienceMilliseconds = 300_000;
/** An agent whose `finish` was answered has nothing left to do. */
const lastBreathMilliseconds = 10_000;

/** One step of a job that has a place. */
export const attemptStep = async (
  parts: LauncherParts,
  drive: Drive,
  job: LoadedJob,
): Promise<StepOutcome> => {
  const { state } = job;
  const name = podName(job.id, state.epoch);
  let pod: PodState | null;
  try {
    pod = await parts.pods.inspect(name);
  } catch (error) {
    if (!state.pod && !state.seal) return startTrouble(parts, drive, job, name, error);
    // It has a pod that most likely runs on: for this there is no limit.
    if (drive.failures > 2)
      await say(parts, job, { kind: 'pod problem', epoch: state.epoch, reason: reasonOf(error) });
    throw error;
  }
  if (state.seal) return conclude(parts, drive, job, name, pod);
  if (pod?.phase === 'exited') return close(parts, job, await endOf(parts, drive, pod));
  if (pod?.phase === 'running') {
    await say(parts, job, podCreated(parts, job, name));
    await watchPod(parts, drive, job, name);
    return 'again';
  }
  if (!pod && state.pod) return close(parts, job, lost(name));
  if (state.cancel)
    return giveUp(parts, job, pod, { code: 'canceled', message: 'Canceled before the pod had started.' });
  return prepare(parts, drive, job, name);
};

const podCreated = ({ pods }: LauncherParts, job: LoadedJob, pod: string): JobCommand => ({
  kind: 'pod created',
  epoch: job.state.epoch,
  pod,
  driver: pods.name,
});

const lost = (name: string): Reason => ({
  code: 'pod_lost',
  message: `The pod ${name} is gone, and Gantry did not remove it: somebody or the engine did. What it had sent until then is kept.`,
});

/** Everything that a pod needs is done at once; then it is started. All of it may have been done before, by a launcher that died. */
const prepare = async (
  parts: LauncherParts,
  drive: Drive,
  job: LoadedJob,
  name: string,
): Promise<StepOutcome> => {
  const leave = new AbortController();
  const attentive = followCancel(parts, drive, job, leave);
  try {
    const outcomes = await Promise.allSettled([
      makePod(parts, job, name, leave.signal),
      openDoors(parts, job),
    ]);
    const failures = outcomes
      .filter((outcome) => outcome.status === 'rejected')
      .map((outcome) => asPlatformError(outcome.reason));
    const failure = failures.find((error) => !helpsToWait(error)) ?? failures[0];
    if (failure) throw failure;
    // Recording it takes about as long as starting it. A launcher that dies in between finds the pod by its name.
    const [made] = outcomes as [PromiseFulfilledResult<JobCommand[]>, unknown];
    await Promise.all([
      say(parts, job, ...made.value),
      parts.pods.start(name, podSecrets(parts.podTokenKey, job.id, job.state.epoch).token),
    ]);
    drive.tokenGiven = true;
    return 'again';
  } catch (error) {
    if (leave.signal.aborted && isPlatformError(error) && error.code === 'cancelled') return 'again';
    return startTrouble(parts, drive, job, name, error);
  } finally {
    leave.abort();
    await attentive;
  }
};

/** Ends a long pull when somebody cancels, or the launcher leaves the job to the next one. */
const followCancel = async (
  parts: LauncherParts,
  drive: Drive,
  job: LoadedJob,
  leave: AbortController,
): Promise<void> => {
  while (!leave.signal.aborted && !drive.signal.aborted) {
    const since = drive.heard;
    if ((await parts.jobs.load(job.id).catch(() => null))?.state.cancel) leave.abort();
    else await drive.news(60_000, leave.signal, since);
  }
  leave.abort();
};

/** Ingest and the vault learn who may come. Both are idempotent. */
const openDoors = async (parts: LauncherParts, job: LoadedJob): Promise<void> => {
  const { requested, pinned, epoch } = job.state;
  const { bearerSha256, proofKey } = podSecrets(parts.podTokenKey, job.id, epoch);
  const context = driverContext(parts, job);
  const attempt = { jobId: job.id, epoch };
  await Promise.all([
    parts.kit.call(
      OpenRecord,
      {
        ...attempt,
        organizationId: requested!.snapshot.organizationId,
        jobTemplateId: requested!.snapshot.jobTemplateId,
        bearerSha256,
        payload: payloadOf(requested!, pinned!),
      },
      context,
    ),
    parts.kit.call(
      CreateGrant,
      { ...attempt, credentials: pinned!.credentials.map(({ id, version }) => ({ id, version })), proofKey },
      context,
    ),
  ]);
};

/** Image, then pod. Returns what is to be said of it. */
const makePod = async (
  parts: LauncherParts,
  job: LoadedJob,
  name: string,
  signal: AbortSignal,
): Promise<JobCommand[]> => {
  const needed = job.state.pinned!.image;
  const { image, digest, executionEnvironmentId } = needed;
  const ready = await ensureImage(parts, needed, {
    signal,
    context: driverContext(parts, job),
    told: {
      started: () => say(parts, job, { kind: 'image pull started', image }),
      progressed: (progress) => say(parts, job, { kind: 'image pull progressed', data: { image, progress } }),
      retried: (retry) => say(parts, job, { kind: 'image pull retried', data: { image, ...retry } }),
    },
  });
  parts.noteImage({ executionEnvironmentId, image, digest: ready.digest }, driverContext(parts, job));
  if (ready.digest !== digest) {
    void parts.kit
      .call(
        NoteDigest,
        { id: executionEnvironmentId, image, digest: ready.digest },
        driverContext(parts, job),
      )
      .catch((error: unknown) => {
        parts.kit.logger.warn({ jobId: job.id, err: error }, 'the registry could not be told the digest');
      });
  }
  await parts.pods.create(
    describePod(parts.podSettings, { id: job.id, epoch: job.state.epoch, image: ready.reference }),
  );
  const { pulled, attempts, durationMilliseconds, sizeBytes } = ready;
  const found = { image, digest: ready.digest };
  return [
    pulled
      ? { kind: 'image pulled', data: { ...found, attempts, durationMilliseconds, sizeBytes } }
      : { kind: 'image cached', data: { ...found, note: awayNote(needed) } },
    podCreated(parts, job, name),
  ];
};

/** An image whose registry is away runs all the same where it is there already: the job says so. */
const awayNote = ({ resolution, words }: PinnedJob['image']): string | null =>
  resolution === 'known'
    ? `Its registry is away${words ? ` (${words})` : ''}; this is the image that it named last.`
    : null;

const startTrouble = async (
  parts: LauncherParts,
  drive: Drive,
  job: LoadedJob,
  name: string,
  thrown: unknown,
): Promise<StepOutcome> => {
  const error = asPlatformError(thrown);
  const reason = reasonOf(error);
  drive.failures += 1;
  drive.troubleSince ??= performance.now();
  const patient = performance.now() - drive.troubleSince < startPatienceMilliseconds;
  if (error.code === 'defect')
    parts.kit.logger.error({ jobId: job.id, err: error }, 'the pod could not be started');
  if (helpsToWait(error) && patient) {
    if (drive.failures > 3) await say(parts, job, { kind: 'pod problem', epoch: job.state.epoch, reason });
    await drive.news(backOff(drive.failures));
    return 'again';
  }
  // A pod that cannot be seen now is swept up when the engine is back.
  return giveUp(parts, job, await parts.pods.inspect(name).catch(() => null), reason);
};

/** Nothing ran: the job ends with this reason. */
const giveUp = async (
  parts: LauncherParts,
  job: LoadedJob,
  pod: PodState | null,
  reason: Reason,
): Promise<StepOutcome> => {
  // A pod that was made stands in the record of the job; it leaves by the usual way.
  if (pod || job.state.pod) return close(parts, job, reason);
  await Promise.all([unlessUnknown(closeRecord(parts, job, reason)), unlessUnknown(closeGrant(parts, job))]);
  await say(parts, job, { kind: 'fail', reason, durationMilliseconds: 0 });
  return 'again';
};

const unlessUnknown = (call: Promise<unknown>): Promise<unknown> =>
  call.catch((error: unknown) => {
    if (!isPlatformError(error) || error.code !== 'not_found') throw error;
  });

const closeRecord = (parts: LauncherParts, job: LoadedJob, reason: Reason | null) =>
  parts.kit.call(CloseRecord, { jobId: job.id, epoch: job.state.epoch, reason }, driverContext(parts, job));
const closeGrant = (parts: LauncherParts, job: LoadedJob) =>
  parts.kit.call(CloseGrant, { jobId: job.id, epoch: job.state.epoch }, driverContext(parts, job));

/** The pod will say nothing more: ingest seals what there is, or tells how the agent sealed it. */
const close = async (parts: LauncherParts, job: LoadedJob, reason: Reason): Promise<StepOutcome> => {
  const answer = await closeRecord(parts, job, reason).catch(async (error: unknown) => {
    if (!isPlatformError(error) || error.code !== 'not_found') throw error;
    // It was never opened (trouble came before that): open it, to close it.
    await openDoors(parts, job);
    return closeRecord(parts, job, reason);
  });
  const { jobId: _, ...seal } = answer.seal;
  if (seal.epoch !== job.state.epoch)
    throw new PlatformError(
      'defect',
      `Ingest sealed attempt ${seal.epoch} of job ${job.id} in place of ${job.state.epoch}.`,
    );
  await say(parts, job, { kind: 'seal', seal });
  return 'again';
};

const endOf = async (parts: LauncherParts, drive: Drive, pod: PodState): Promise<Reason> =>
  drive.endedFor ??
  reasonOfEnd(pod, parts.podSettings.limits, await parts.pods.lastWords(pod.name).catch(() => ''));

/** The record is complete: the pod goes, with everything that was its own, and the job is over. */
const conclude = async (
  parts: LauncherParts,
  drive: Drive,
  job: LoadedJob,
  name: string,
  pod: PodState | null,
): Promise<StepOutcome> => {
  const ended = pod?.phase === 'running' ? await lastBreath(parts, drive, name) : pod;
  if (drive.signal.aborted) return 'parked';
  const { state } = job;
  await Promise.all([
    pod && parts.pods.destroy(name),
    unlessUnknown(closeRecord(parts, job, null)),
    unlessUnknown(closeGrant(parts, job)),
  ]);
  const finish: JobCommand = {
    kind: 'finish',
    durationMilliseconds: job.runningSince ? Math.max(0, Date.now() - Date.parse(job.runningSince)) : 0,
  };
  if (!pod && !state.pod) {
    await say(parts, job, finish);
    return 'again';
  }
  const data = {
    epoch: state.epoch,
    pod: name,
    exitCode: ended?.exitCode ?? null,
    oomKilled: ended?.outOfMemory ?? false,
    detail: ended?.detail ?? '',
  };
  await say(parts, job, { kind: 'pod destroyed', data }, finish);
  return 'again';
};

const lastBreath = async (parts: LauncherParts, drive: Drive, name: string): Promise<PodState | null> => {
  const patience = joinSignals([drive.signal], lastBreathMilliseconds);
  const over = await parts.pods.wait(name, patience.signal);
  patience.release();
  if (over?.phase !== 'running' || drive.signal.aborted) return over;
  parts.kit.logger.warn({ pod: name }, 'the agent has said its last word and does not end: ending it');
  await parts.pods.kill(name);
  return parts.pods.wait(name, drive.signal);
};
