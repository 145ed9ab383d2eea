/**
 * The job, as its events tell it. Pure: what happened goes in, what follows comes out.
 *
 * Phases, in order:
 *   absent      no event yet
 *   requested   job.requested: durably accepted                         status pending
 *   pinned      job.pinned: image, commit, inventory, credentials fixed  status pending
 *   dispatched  job.dispatched: it has a place; attempt `epoch` begins   status waiting
 *               (then the image, job.pod_created: still waiting)
 *   running     job.pod_started: the agent inside has spoken             status running
 *   sealed      job.record_sealed: nothing can be added to its record    status running
 *   finished    job.finished: nothing changes any more                   its final status
 *
 * Transitions (everything not named is refused, or passed over as an echo of what is known):
 *   absent      -request-> requested
 *   requested   -pin-> pinned                -wait-> requested           -fail-> finished
 *   pinned      -dispatch-> dispatched       -wait-> pinned              -fail-> finished
 *   dispatched  -image, pod created, problem-> dispatched    -agent spoke-> running    -seal-> sealed
 *   running     -problem-> running           -seal-> sealed
 *   sealed      -pod destroyed-> sealed      -finish-> finished (only without a pod, or once it is destroyed)
 *   cancel      requested, pinned: finished at once, as canceled. dispatched, running, sealed: noted, the pod is ended and the
 *               seal says how the job ended. finished: refused.
 *
 * `successful` comes from a seal whose status the agent said, and from nothing else. A seal without a status is `error` with the
 * reason the pod's end gave, or `canceled` if somebody had asked for it. One job has one attempt for now: a lost pod ends it, and
 * its epoch keeps a pod that turns up again out of the record.
 */
import {
  JobCancelRequested, JobCredentialAlarm, JobCredentialsRedeemed, JobDispatched, jobEvents, JobFinished, JobImageCached,
  JobImagePulled, JobImagePullProgressed, JobImagePullRetried, JobImagePullStarted, JobPinned, JobPodCreated, JobPodDestroyed, JobPodProblem, JobPodStarted, JobQueued, JobRecordSealed,
  JobRequested, type FinalStatus, type JobStatus, type Reason,
} from '@gantry/contracts/job'; // prettier-ignore
import type { EventOf, EventSpec } from '@gantry/contracts/envelope';
import { PlatformError } from '@gantry/contracts/errors';

/** An event of a job. */
export type JobEvent = EventOf<(typeof jobEvents)[keyof typeof jobEvents]>;
type Data<S extends EventSpec> = EventOf<S>['data'];
type Without<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** Where a job is; see the table above. */
export type Phase = 'absent' | 'requested' | 'pinned' | 'dispatched' | 'running' | 'sealed' | 'finished';

/** A job. */
export interface JobState {
  phase: Phase;
  status: JobStatus;
  requested: Data<typeof JobRequested> | null;
  pinned: Data<typeof JobPinned> | null;
  /** What it waits for. */
  waitsFor: Reason | null;
  /** Number of the attempt; 0 before the first. */
  epoch: number;
  /** Digest of the image that the engine has; null while it has none. */
  imageDigest: string | null;
  imagePulling: boolean;
  pod: { name: string; destroyed: boolean } | null;
  agentSpoke: boolean;
  problem: Reason | null;
  cancel: { username: string; force: boolean } | null;
  redeemedBy: string | null;
  seal: Data<typeof JobRecordSealed> | null;
  finished: Data<typeof JobFinished> | null;
}

/** No job. */
export const noJob: JobState = {
  phase: 'absent',
  status: 'pending',
  requested: null,
  pinned: null,
  waitsFor: null,
  epoch: 0,
  imageDigest: null,
  imagePulling: false,
  pod: null,
  agentSpoke: false,
  problem: null,
  cancel: null,
  redeemedBy: null,
  seal: null,
  finished: null,
};

/** What can be said to a job. `by` and all data come from outside: nothing here looks at a clock. */
export type JobCommand =
  | { kind: 'request'; data: Data<typeof JobRequested> }
  | { kind: 'pin'; data: Without<Data<typeof JobPinned>, 'jobId'> }
  | { kind: 'wait'; reason: Reason }
  | { kind: 'dispatch'; instanceGroup: string }
  | { kind: 'image pull started'; image: string }
  | { kind: 'image pull progressed'; data: Without<Data<typeof JobImagePullProgressed>, 'jobId'> }
  | { kind: 'image pull retried'; data: Without<Data<typeof JobImagePullRetried>, 'jobId'> }
  | { kind: 'image pulled'; data: Without<Data<typeof JobImagePulled>, 'jobId'> }
  | { kind: 'image cached'; data: Without<Data<typeof JobImageCached>, 'jobId'> }
  | { kind: 'pod created'; epoch: number; pod: string; driver: string }
  | { kind: 'agent spoke'; epoch: number; agent: Data<typeof JobPodStarted>['agent'] }
  | { kind: 'credentials redeemed'; epoch: number; thumbprint: string }
  | { kind: 'credential alarm'; epoch: number; reason: string }
  | { kind: 'pod problem'; epoch: number; reason: Reason }
  | { kind: 'cancel'; by: { userId: string; username: string }; force: boolean }
  | { kind: 'seal'; seal: Without<Data<typeof JobRecordSealed>, 'jobId'> }
  | { kind: 'pod destroyed'; data: Without<Data<typeof JobPodDestroyed>, 'jobId'> }
  /** It cannot go on, and has no pod. */
  | { kind: 'fail'; reason: Reason; durationMilliseconds: number }
  /** Its record is sealed and its pod is gone. */
  | { kind: 'finish'; durationMilliseconds: number };

const event = <S extends EventSpec>(spec: S, data: Data<S>): EventOf<S> =>
  ({ type: spec.type, version: spec.version, data }) as EventOf<S>;

const beforePod = (state: JobState): boolean => state.phase === 'requested' || state.phase === 'pinned';
const sameReason = (a: Reason | null, b: Reason): boolean => a?.code === b.code && a.message === b.message;

/**
 * What follows from a command. An empty list: nothing, it is known or came too late.
 * Throws `refused` where a person must be told no, `not_found` without a job, `defect` where the caller broke the order of things.
 */
export const decideJob = (state: JobState, command: JobCommand): JobEvent[] => {
  if (command.kind === 'request') return state.phase === 'absent' ? [event(JobRequested, command.data)] : [];
  if (!state.requested) throw new PlatformError('not_found', 'There is no such job.');
  const { jobId } = state.requested;
  // Alarms count after the end, too.
  if (command.kind === 'credential alarm') {
    return [event(JobCredentialAlarm, { jobId, epoch: command.epoch, reason: command.reason })];
  }
  if (command.kind === 'cancel') return cancel(state, jobId, command);
  if (state.phase === 'finished') return [];
  if (command.kind === 'finish') return finish(state, jobId, command.durationMilliseconds);
  if (command.kind === 'fail') return fail(state, jobId, command.reason, command.durationMilliseconds);
  if (beforePod(state)) return decideBeforePod(state, jobId, command);
  return decideUnderWay(state, jobId, command);
};

const decideBeforePod = (state: JobState, jobId: string, command: JobCommand): JobEvent[] => {
  switch (command.kind) {
    case 'pin':
      return state.phase === 'requested' ? [event(JobPinned, { jobId, ...command.data })] : [];
    case 'wait':
      return sameReason(state.waitsFor, command.reason)
        ? []
        : [event(JobQueued, { jobId, reason: command.reason })];
    case 'dispatch':
      if (state.phase !== 'pinned') throw outOfOrder('A job is dispatched', 'before it is pinned');
      return [event(JobDispatched, { jobId, epoch: state.epoch + 1, instanceGroup: command.instanceGroup })];
    default:
      throw outOfOrder(`"${command.kind}"`, 'before the job is dispatched');
  }
};

const decideUnderWay = (state: JobState, jobId: string, command: JobCommand): JobEvent[] => {
  // A word about another attempt than this one came too late.
  if ('epoch' in command && command.epoch !== state.epoch) return [];
  switch (command.kind) {
    case 'image pull started':
      return state.imagePulling || state.imageDigest
        ? []
        : [event(JobImagePullStarted, { jobId, image: command.image })];
    case 'image pull progressed':
      return state.imagePulling ? [event(JobImagePullProgressed, { jobId, ...command.data })] : [];
    case 'image pull retried':
      return state.imagePulling ? [event(JobImagePullRetried, { jobId, ...command.data })] : [];
    case 'image pulled':
      return state.imageDigest ? [] : [event(JobImagePulled, { jobId, ...command.data })];
    case 'image cached':
      return state.imageDigest ? [] : [event(JobImageCached, { jobId, ...command.data })];
    case 'pod created':
      return state.pod
        ? []
        : [event(JobPodCreated, { jobId, epoch: command.epoch, pod: command.pod, driver: command.driver })];
    case 'agent spoke':
      return state.agentSpoke
        ? []
        : [event(JobPodStarted, { jobId, epoch: command.epoch, agent: command.agent })];
    case 'credentials redeemed':
      // Without credentials there is nothing to tell; the same key again is the same redemption.
      return state.pinned?.credentials.length === 0 || state.redeemedBy === command.thumbprint
        ? []
        : [event(JobCredentialsRedeemed, { jobId, epoch: command.epoch, thumbprint: command.thumbprint })];
    case 'pod problem':
      return sameReason(state.problem, command.reason)
        ? []
        : [event(JobPodProblem, { jobId, epoch: command.epoch, reason: command.reason })];
    case 'seal':
      return state.seal || command.seal.epoch !== state.epoch
        ? []
        : [event(JobRecordSealed, { jobId, ...command.seal })];
    case 'pod destroyed':
      return state.pod?.destroyed || command.data.epoch !== state.epoch
        ? []
        : [event(JobPodDestroyed, { jobId, ...command.data })];
    default:
      return [];
  }
};

const cancel = (
  state: JobState,
  jobId: string,
  command: Extract<JobCommand, { kind: 'cancel' }>,
): JobEvent[] => {
  if (state.phase === 'finished') {
    throw new PlatformError(
      'refused',
      `The job is over (${state.status}): there is nothing left to cancel.`,
      {
        details: { reason: 'finished', status: state.status },
      },
    );
  }
  if (state.cancel && (state.cancel.force || !command.force)) return [];
  const requested = event(JobCancelRequested, { jobId, by: command.by, force: command.force });
  if (!beforePod(state)) return [requested];
  return [
    requested,
    over(jobId, 'canceled', canceledBy(command.by.username, 'before it had started'), null, 0),
  ];
};

const fail = (state: JobState, jobId: string, reason: Reason, durationMilliseconds: number): JobEvent[] => {
  if (state.pod && !state.pod.destroyed) throw outOfOrder('A job fails', 'while it has a pod');
  if (state.seal) throw outOfOrder('A job fails', 'although its record says how it ended');
  return [
    state.cancel
      ? over(
          jobId,
          'canceled',
          canceledBy(state.cancel.username, 'before it had started'),
          null,
          durationMilliseconds,
        )
      : over(jobId, 'error', reason, null, durationMilliseconds),
  ];
};

const finish = (state: JobState, jobId: string, durationMilliseconds: number): JobEvent[] => {
  if (!state.seal) throw outOfOrder('A job finishes', 'before its record is sealed');
  if (state.pod && !state.pod.destroyed) throw outOfOrder('A job finishes', 'while it has a pod');
  const { status, reason } = verdict(state, state.seal);
  return [over(jobId, status, reason, state.seal, durationMilliseconds)];
};

const verdict = (
  state: JobState,
  seal: Data<typeof JobRecordSealed>,
): { status: FinalStatus; reason: Reason | null } => {
  const stopped = seal.status === 'error' && seal.reason?.code === 'pod_stopped';
  if (seal.status === 'canceled' || stopped) {
    if (state.cancel)
      return { status: 'canceled', reason: canceledBy(state.cancel.username, 'while it ran') };
    // Nobody asked us: somebody stopped the pod behind our back.
    return {
      status: 'error',
      reason: {
        code: 'pod_stopped',
        message: 'The pod was stopped from outside Gantry, so the playbook was ended.',
      },
    };
  }
  if (seal.status) return { status: seal.status, reason: seal.reason };
  if (state.cancel)
    return {
      status: 'canceled',
      reason: canceledBy(state.cancel.username, 'and its pod was ended before it could say a last word'),
    };
  return {
    status: 'error',
    reason: seal.reason ?? {
      code: 'no_final_message',
      message: 'The output ended without a final message of the pod.',
    },
  };
};

const canceledBy = (username: string, when: string): Reason => ({
  code: 'canceled',
  message: `Canceled by ${username} ${when}.`,
});

const over = (
  jobId: string,
  status: FinalStatus,
  reason: Reason | null,
  seal: { lastCounter: number; sha256: string } | null,
  durationMilliseconds: number,
): JobEvent =>
  event(JobFinished, {
    jobId,
    status,
    reason,
    lastCounter: seal?.lastCounter ?? 0,
    sha256: seal?.sha256 ?? null,
    durationMilliseconds,
  });

const outOfOrder = (what: string, when: string): PlatformError =>
  new PlatformError('defect', `${what} ${when}: that must not happen.`);

/** The job after an event. */
export const evolveJob = (state: JobState, { type, data }: JobEvent): JobState => {
  switch (type) {
    case 'job.requested':
      return { ...state, phase: 'requested', requested: data };
    case 'job.pinned':
      return { ...state, phase: 'pinned', pinned: data, waitsFor: null };
    case 'job.queued':
      return { ...state, waitsFor: data.reason };
    case 'job.dispatched':
      return { ...state, phase: 'dispatched', status: 'waiting', epoch: data.epoch, waitsFor: null };
    case 'job.image_pull_started':
      return { ...state, imagePulling: true };
    case 'job.image_pull_progressed':
    case 'job.image_pull_retried':
      return state;
    case 'job.image_pulled':
    case 'job.image_cached':
      return { ...state, imagePulling: false, imageDigest: data.digest };
    case 'job.pod_created':
      return { ...state, pod: { name: data.pod, destroyed: false } };
    case 'job.pod_started':
      return {
        ...state,
        phase: state.seal ? 'sealed' : 'running',
        status: 'running',
        agentSpoke: true,
        problem: null,
      };
    case 'job.credentials_redeemed':
      return { ...state, redeemedBy: data.thumbprint };
    case 'job.credential_alarm':
      return state;
    case 'job.pod_problem':
      return { ...state, problem: data.reason };
    case 'job.cancel_requested':
      return { ...state, cancel: { username: data.by.username, force: data.force } };
    case 'job.record_sealed':
      return { ...state, phase: 'sealed', seal: data };
    case 'job.pod_destroyed':
      return { ...state, pod: { name: data.pod, destroyed: true } };
    case 'job.finished':
      return { ...state, phase: 'finished', status: data.status, finished: data, waitsFor: null };
  }
};
