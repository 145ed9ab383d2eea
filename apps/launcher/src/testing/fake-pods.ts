/** Pods that are only said to be there: for tests of what the launcher does with them. What a real driver must do is in pod-driver-contract.ts. */
import { PlatformError } from '@gantry/contracts/errors';
import type { ImageConfig } from '@gantry/contracts/image';
import type { PodDescription } from '../pod/description.js';
import type { PodDriver, PodState } from '../pod/driver.js';

const fakeConfig: ImageConfig = {
  sizeBytes: 1,
  architecture: 'amd64',
  operatingSystem: 'linux',
  user: '1000',
  workingDirectory: '/',
  entrypoint: [],
  command: [],
  labels: {},
  createdAt: null,
};

/** A pod as the test sees it. */
export interface FakePod {
  description: PodDescription;
  state: PodState;
  tokens: string[];
  signals: string[];
}

/** Shared by every driver of a test: what is on the "machine" outlives a launcher. */
export class FakeMachine {
  readonly pods = new Map<string, FakePod>();
  /** Names in the order they were made: a name twice would be two pods of one attempt. */
  readonly made: string[] = [];
  /** What a tag means on this machine, if not sha256:d1. */
  readonly images = new Map<string, string>();
  /** Digests that are here without a tag. */
  readonly untagged = new Set<string>();
  /** Called before each method; may throw, or hold it. */
  before: (method: keyof PodDriver, name: string) => Promise<void> | void = () => undefined;
  /** What pods print, by name. */
  readonly output = new Map<string, string>();
  /** Called when a pod starts. */
  onStart: (pod: FakePod) => void = () => undefined;
  /** Images that were removed. */
  readonly removed: string[] = [];
  /** So many pulls find the registry away. */
  registryAway = 0;
  /** Does a stop end the pod? */
  obedient = true;
  private readonly watchers = new Set<() => void>();

  /** Ends a pod. */
  exit(name: string, exitCode: number, how: Partial<PodState> = {}): void {
    const pod = this.pods.get(name);
    if (pod?.state.phase !== 'running') return;
    pod.state = { ...pod.state, ...how, phase: 'exited', exitCode };
    this.changed();
  }

  /** The pod vanishes. */
  remove(name: string): void {
    this.pods.delete(name);
    this.changed();
  }

  private changed(): void {
    this.watchers.forEach((watcher) => watcher());
  }

  /** A driver of this machine. */
  driver(): PodDriver {
    const at = (name: string): FakePod => {
      const pod = this.pods.get(name);
      if (!pod) throw new PlatformError('refused', `There is no pod ${name}.`);
      return pod;
    };
    const state = (name: string): PodState | null => this.pods.get(name)?.state ?? null;
    return {
      name: 'fake',
      ensureImage: async ({ image, digest }, { signal, onPull }) => {
        await this.before('ensureImage', image);
        if (image.includes('slow')) {
          onPull();
          await new Promise<void>((_, reject) =>
            signal.addEventListener('abort', () => reject(new PlatformError('cancelled', 'given up'))),
          );
        }
        if (this.registryAway > 0) {
          this.registryAway -= 1;
          onPull();
          throw new PlatformError('refused', 'Its registry cannot be reached.', {
            details: { reason: 'image_registry_unreachable' },
          });
        }
        if (image.includes('missing'))
          throw new PlatformError('refused', `The image ${image} could not be pulled.`, {
            details: { reason: 'image_not_found' },
          });
        if (image.includes('pulled')) onPull();
        return {
          reference: `sha256:of-${image}`,
          digest: digest ?? this.images.get(image) ?? 'sha256:d1',
          pulled: image.includes('pulled'),
          durationMilliseconds: 1,
          sizeBytes: null,
        };
      },
      findImage: async ({ image, digest }) => {
        const found = this.images.get(image) ?? 'sha256:d1';
        if (image.includes('missing')) return null;
        return !digest || digest === found || this.untagged.has(digest) ? { digest: digest ?? found } : null;
      },
      removeImage: async (reference) => {
        await this.before('removeImage', reference);
        this.removed.push(reference);
        return 'removed';
      },
      describeImage: async ({ image }) => {
        await this.before('describeImage', image);
        return image.includes('missing') ? null : { reference: `sha256:of-${image}`, config: fakeConfig };
      },
      create: async (description) => {
        await this.before('create', description.name);
        if (this.pods.has(description.name)) return;
        this.made.push(description.name);
        const created: PodState = {
          name: description.name,
          labels: description.labels,
          phase: 'created',
          exitCode: null,
          outOfMemory: false,
          detail: '',
        };
        this.pods.set(description.name, { description, state: created, tokens: [], signals: [] });
      },
      start: async (name, token) => {
        await this.before('start', name);
        const pod = at(name);
        if (token !== null) pod.tokens.push(token);
        if (pod.state.phase !== 'created') return;
        pod.state = { ...pod.state, phase: 'running' };
        this.onStart(pod);
      },
      inspect: async (name) => {
        await this.before('inspect', name);
        return state(name);
      },
      wait: (name, signal) =>
        new Promise((resolve) => {
          const look = (): void => {
            if (!signal.aborted && state(name)?.phase === 'running') return;
            this.watchers.delete(look);
            signal.removeEventListener('abort', look);
            resolve(state(name));
          };
          this.watchers.add(look);
          signal.addEventListener('abort', look);
          look();
        }),
      lastWords: async () => '',
      output: async (name, limitBytes) => {
        const text = this.output.get(name) ?? '';
        return { text: text.slice(0, limitBytes), complete: text.length <= limitBytes };
      },
      stop: async (name) => {
        this.pods.get(name)?.signals.push('stop');
        if (this.obedient) this.exit(name, 143);
      },
      kill: async (name) => {
        this.pods.get(name)?.signals.push('kill');
        this.exit(name, 137);
      },
      destroy: async (name) => {
        await this.before('destroy', name);
        this.exit(name, 137);
        this.remove(name);
      },
      list: async (label, value) =>
        [...this.pods.values()].map((pod) => pod.state).filter((pod) => pod.labels[label] === value),
    };
  }
}
