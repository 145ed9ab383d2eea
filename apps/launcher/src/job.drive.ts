/** What the steps of a job share: the launcher's parts, the job in hand, and patience. */
import type { Meta } from '@gantry/contracts/envelope';
import type { Reason } from '@gantry/contracts/job';
import { systemContext, type CallContext } from '@gantry/service/context';
import type { ServiceKit } from '@gantry/service/kit';
import type { Seal } from './adapters/seal.js';
import type { JobCommand, JobState } from './domain/job.js';
import type { PullSettings } from './image.ensure.js';
import type { Inspections } from './image.inspection.js';
import type { Jobs, LoadedJob } from './job.stream.js';
import type { PodSettings } from './pod/description.js';
import type { PodDriver } from './pod/driver.js';

/** The launcher's parts. */
export interface LauncherParts {
  kit: Pick<ServiceKit, 'call' | 'config' | 'logger'>;
  jobs: Jobs;
  pods: PodDriver;
  podSettings: PodSettings;
  pullSettings: PullSettings;
  /** 32 bytes; pod tokens are derived from it. */
  podTokenKey: Uint8Array;
  seal: Seal;
  /** An engine has the image: see `Inspections.noteOnEngine`. */
  noteImage: Inspections['noteOnEngine'];
}

/** One job while this launcher drives it. */
export interface Drive {
  readonly jobId: string;
  /** The launcher stops, or has lost the job: leave everything as it is. */
  readonly signal: AbortSignal;
  /** How often the job was woken. */
  readonly heard: number;
  /**
   * Resolves when the job is woken, after so many milliseconds, or when `signal` or `also` fires; at once when it was woken since
   * `heard` was `since`.
   */
  news(milliseconds: number, also?: AbortSignal, since?: number): Promise<void>;
  /** Number of failures in a row. */
  failures: number;
  /** When the present trouble began, on the monotonic clock. */
  troubleSince: number | null;
  /** Why this launcher ended the pod, if it did. */
  endedFor: Reason | null;
  /** This launcher has given the pod its token. */
  tokenGiven: boolean;
}

/** What a step says: go on at once, leave it (something else will wake it), or it is over. */
export type StepOutcome = 'again' | 'parked';

/** In whose name the driver acts: Gantry's own, as part of what the launch began. */
export const driverContext = ({ kit }: LauncherParts, job: LoadedJob): CallContext =>
  systemContext(kit, { correlationId: job.correlationId, causationId: job.causationId });

/** Says something to a job in the driver's name; returns the job after it. */
export const say = async (
  parts: LauncherParts,
  job: LoadedJob,
  ...commands: JobCommand[]
): Promise<JobState> => {
  const meta: Meta = driverContext(parts, job).meta();
  return (await parts.jobs.tell(job.id, commands, meta)).state;
};

const longestPauseMilliseconds = 5_000;

/** 100 ms after the first failure, then twice as long each time, up to 5 s. */
export const backOff = (failures: number): number =>
  Math.min(100 * 2 ** Math.max(0, failures - 1), longestPauseMilliseconds);
