/**
 * A pull that somebody asked for, apart from jobs. Pure.
 *
 *   absent -request-> running -progress, retry-> running -finish-> finished
 *                                                 -fail-> finished
 * Everything else is passed over as an echo of what is known: a launcher that takes over pulls again, and finds the image there.
 */
import type { EventOf, EventSpec } from '@gantry/contracts/envelope';
import {
  ImagePullFailed,
  ImagePullFinished,
  ImagePullProgressed,
  ImagePullRequested,
  ImagePullRetried,
  type pullEvents,
} from '@gantry/contracts/pull';

/** An event of a pull. */
export type PullEvent = EventOf<
  Exclude<(typeof pullEvents)[keyof typeof pullEvents], { type: 'image_prune.finished' }>
>;
type Data<S extends EventSpec> = EventOf<S>['data'];

/** A pull. */
export interface PullState {
  phase: 'absent' | 'running' | 'finished';
  requested: Data<typeof ImagePullRequested> | null;
}

/** No pull. */
export const noPull: PullState = { phase: 'absent', requested: null };

/** What can be said of a pull. */
export type PullCommand =
  | { kind: 'request'; data: Data<typeof ImagePullRequested> }
  | { kind: 'progress'; data: Data<typeof ImagePullProgressed> }
  | { kind: 'retry'; data: Data<typeof ImagePullRetried> }
  | { kind: 'finish'; data: Data<typeof ImagePullFinished> }
  | { kind: 'fail'; data: Data<typeof ImagePullFailed> };

const specs = {
  request: ImagePullRequested,
  progress: ImagePullProgressed,
  retry: ImagePullRetried,
  finish: ImagePullFinished,
  fail: ImagePullFailed,
};

/** What follows: one event, or none. */
export const decidePull = (state: PullState, { kind, data }: PullCommand): PullEvent[] => {
  const fits = kind === 'request' ? state.phase === 'absent' : state.phase === 'running';
  const { type, version } = specs[kind];
  return fits ? [{ type, version, data } as PullEvent] : [];
};

/** The pull after an event. */
export const evolvePull = (state: PullState, event: PullEvent): PullState => {
  switch (event.type) {
    case 'image_pull.requested':
      return { phase: 'running', requested: event.data };
    case 'image_pull.progressed':
    case 'image_pull.retried':
      return state;
    case 'image_pull.finished':
    case 'image_pull.failed':
      return { ...state, phase: 'finished' };
  }
};
