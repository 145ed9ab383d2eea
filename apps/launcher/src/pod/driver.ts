/** The port to whatever runs pods. Adapters: `adapters/container-engine.ts`; a Kubernetes one will follow. */
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
}

/** Which image is wanted. */
export interface WantedImage {
  image: string;
  /** The image's digest, if somebody knows it: then exactly this one. */
  digest: string | null;
  pull: 'always' | 'missing' | 'never';
}

/**
 * Runs pods. Every method may be repeated: what is done already is no error. All throw `unavailable` when the engine or
 * cluster does not answer, and `refused` with `details.reason` when it says no, its words in the message.
 */
export interface PodDriver {
  /** Kind of driver, for the record: `container`. */
  readonly name: string;
  /**
   * Sees to it that the image is there. `onPull` is told when a pull begins.
   * Throws `refused`: image_not_present (never pulled), image_not_found, image_unauthorized, image_invalid, image_registry_unreachable,
   * image_pull_failed; `cancelled` when `signal` fires.
   */
  ensureImage(wanted: WantedImage, options: { onPull(): void; signal: AbortSignal }): Promise<ReadyImage>;
  /** Makes the pod, or finds that it is made. */
  create(description: PodDescription): Promise<void>;
  /** Starts a made pod and hands it its token on standard input. A pod that runs gets the token again, which does no harm. */
  start(name: string, token: string): Promise<void>;
  /** null: there is no such pod. */
  inspect(name: string): Promise<PodState | null>;
  /** Resolves when the pod does not run any more (null: it is not there), or when `signal` fires, with how it is then. */
  wait(name: string, signal: AbortSignal): Promise<PodState | null>;
  /** What it printed last: a few lines of its agent's diagnostics, none of them secret. Empty when there are none. */
  lastWords(name: string): Promise<string>;
  /** The polite signal; after `graceSeconds` the end. */
  stop(name: string, graceSeconds: number): Promise<void>;
  /** The end, at once. */
  kill(name: string): Promise<void>;
  /** Removes the pod with everything that was its own. Ends it if it runs. */
  destroy(name: string): Promise<void>;
  /** All pods that bear a label of this value, running or not. */
  list(label: string, value: string): Promise<PodState[]>;
}
