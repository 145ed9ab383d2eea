/** The port to whatever runs pods. Adapters: `adapters/container-engine.ts`; a Kubernetes one will follow. */
import type { ImageConfig } from '@gantry/contracts/image';
import type { PullProgress } from '@gantry/contracts/job';
import type { PodDescription } from './description.js';

/** How a pod is. */
export interface PodState {
  name: string;
  labels: Record<string, string>;
  /** created: made, never started. exited: over, still there to be looked at. */
  phase: 'created' | 'running' | 'exited';
  /** Of its first process; null unless exited. */
  exitCode: number | null;
  /** The engine says it was ended for want of memory. */
  outOfMemory: boolean;
  /** What the engine says about how it ended, in its own words; may be empty. */
  detail: string;
}

/** An image that is there. */
export interface ReadyImage {
  /** What `PodDescription.image` is to be. */
  reference: string;
  /** sha256:...: of its manifest where a registry gave it one, else of itself. */
  digest: string;
  /** False: it was there already. */
  pulled: boolean;
  durationMilliseconds: number;
  /** On the engine, unpacked; null where it does not tell. */
  sizeBytes: number | null;
}

/** Which image is wanted. */
export interface WantedImage {
  image: string;
  /** The image's digest, if somebody knows it: then exactly this one. */
  digest: string | null;
  pull: 'always' | 'missing' | 'never';
}

/** Who asks a registry. */
export interface RegistryLogin {
  /** Empty: nobody in particular. */
  username: string;
  password: string;
}

/** What goes along with a pull. */
export interface PullOptions {
  /** Asked only when the image is pulled; null: nobody in particular. What it throws ends the pull. */
  login(): Promise<RegistryLogin | null>;
  /** A pull begins. */
  onPull(): void;
  /** Called as often as the engine says something. */
  onProgress(progress: PullProgress): void;
  /** Ends the pull. */
  signal: AbortSignal;
}

/** An image that is there, as the engine describes it. */
export interface KnownImage {
  /** What `PodDescription.image` is to be. */
  reference: string;
  config: ImageConfig;
}

/**
 * Runs pods. Every method may be repeated: what is done already is no error. All throw `unavailable` when the engine or
 * cluster does not answer, and `refused` with `details.reason` when it says no, its words in the message.
 */
export interface PodDriver {
  /** Kind of driver, for the record: `container`. */
  readonly name: string;
  /**
   * Sees to it that the image is there and made for this machine: found, or pulled in one attempt. By its digest where it is known.
   * Throws `refused` with one of `imageReasons` of domain/pull.ts; `cancelled` when `signal` fires.
   */
  ensureImage(wanted: WantedImage, options: PullOptions): Promise<ReadyImage>;
  /** The image, if it is there already; null if not. Nothing is pulled. */
  findImage(wanted: Pick<WantedImage, 'image' | 'digest'>): Promise<Pick<ReadyImage, 'digest'> | null>;
  /** Removes an image by `repository@digest`, never by force: throws `refused` with the engine's words while something uses it. */
  removeImage(reference: string): Promise<'removed' | 'gone'>;
  /** The image of this digest; null when it is not there. Pulls nothing. */
  describeImage(wanted: { image: string; digest: string }): Promise<KnownImage | null>;
  /** Makes the pod, or finds that it is made. */
  create(description: PodDescription): Promise<void>;
  /**
   * Starts a made pod and hands it its token on standard input; null: there is none. A pod that runs gets the token again, which does
   * no harm. Throws `refused` with reason command_not_found when the image lacks the program.
   */
  start(name: string, token: string | null): Promise<void>;
  /** null: there is no such pod. */
  inspect(name: string): Promise<PodState | null>;
  /** Resolves when the pod does not run any more (null: it is not there), or when `signal` fires, with how it is then. */
  wait(name: string, signal: AbortSignal): Promise<PodState | null>;
  /** What it printed last: a few lines of its agent's diagnostics, none of them secret. Empty when there are none. */
  lastWords(name: string): Promise<string>;
  /** What a pod that is over printed on standard output, at most so many bytes of it; `complete`: that is all. */
  output(name: string, limitBytes: number): Promise<{ text: string; complete: boolean }>;
  /** The polite signal; after `graceSeconds` the end. */
  stop(name: string, graceSeconds: number): Promise<void>;
  /** The end, at once. */
  kill(name: string): Promise<void>;
  /** Removes the pod with everything that was its own. Ends it if it runs. */
  destroy(name: string): Promise<void>;
  /** All pods that bear a label of this value, running or not. */
  list(label: string, value: string): Promise<PodState[]>;
}
