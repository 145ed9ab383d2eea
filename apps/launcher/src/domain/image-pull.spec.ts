import { describe, expect, it } from 'vitest';
import { decidePull, evolvePull, noPull, type PullCommand, type PullState } from './image-pull.js';

const pullId = '0b9e6a4e-5d0b-4c56-9b0d-0d6a3a3f0001';
const reason = { code: 'image_not_found', message: 'Not there.' };
const request: PullCommand = {
  kind: 'request',
  data: {
    pullId,
    image: { executionEnvironmentId: pullId, name: 'EE', image: 'r/ee:1', digest: null, pull: 'missing' },
    by: { userId: pullId, username: 'ann' },
  },
};
const progress: PullCommand = {
  kind: 'progress',
  data: { pullId, progress: { layers: 2, layersDone: 1, bytes: null, bytesTotal: null } },
};
const retry: PullCommand = { kind: 'retry', data: { pullId, attempt: 1, reason, pauseMilliseconds: 1_000 } };
const finish: PullCommand = {
  kind: 'finish',
  data: { pullId, image: 'r/ee:1', digest: 'sha256:1', pulled: true, attempts: 1, durationMilliseconds: 1, sizeBytes: 1 },
}; // prettier-ignore
const fail: PullCommand = { kind: 'fail', data: { pullId, reason } };
const after = (...commands: PullCommand[]): { state: PullState; types: string[] } =>
  commands.reduce<{ state: PullState; types: string[] }>(
    ({ state, types }, command) => {
      const events = decidePull(state, command);
      return {
        state: events.reduce(evolvePull, state),
        types: [...types, ...events.map(({ type }) => type)],
      };
    },
    { state: noPull, types: [] },
  );

describe('a pull that somebody asked for', () => {
  it('is told from its request to its end, once', () => {
    expect(after(progress, finish, request, request, progress, retry, finish, fail, progress)).toEqual({
      state: { phase: 'finished', requested: request.data },
      types: ['image_pull.requested', 'image_pull.progressed', 'image_pull.retried', 'image_pull.finished'],
    });
  });

  it('may fail', () => {
    expect(after(request, fail, finish).types).toEqual(['image_pull.requested', 'image_pull.failed']);
  });
});
